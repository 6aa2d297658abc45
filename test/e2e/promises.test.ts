import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { EventServiceService } from '@evenfall/contracts/v1/event_service';
import { Event_State as State } from '@evenfall/contracts/v1/event';
import { grpcClient } from '@evenfall/rpc';
import { eventually } from '@evenfall/testkit';
import type { EventAnswer, LogLineAnswer } from '../support/rest-client.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { zipOf } from '../support/zip.ts';

const F = '/v1/namespaces/default/functions';

describe('what the platform promises', () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack();
    const { rest } = stack;
    for (const example of ['echo', 'sleeps', 'graceful-killer-node']) await rest.deployExample(example);
    await rest.deployExample('throws', { name: 'throws-twice', event_invoke: { max_retries: 1, retry_interval: '1s' } });
    await rest.deployExample('echo', { name: 'echo-other' });
  });
  after(() => stack.dispose());

  it('shows an event to every caller that got its id: no read after a 202 is a 404', async () => {
    for (let i = 0; i < 200; i++) {
      const { id } = await stack.rest.send('echo', i);
      const { status } = await stack.rest.call('GET', `/v1/events/${id}`);
      assert.equal(status, 200, `read ${i}`);
    }
  });

  it('lists an event for every caller that got its id', async () => {
    for (let i = 0; i < 20; i++) {
      const { id } = await stack.rest.send('echo-other', i);
      const { body } = await stack.rest.call<{ events: EventAnswer[] }>('GET', `${F}/echo-other/events?page_size=100`);
      assert.ok(
        body.events.some((event) => event.id === id),
        `list ${i}`,
      );
    }
  });

  it('lands every terminate that follows a 202, and every read after it shows it', async () => {
    for (let i = 0; i < 50; i++) {
      const { id } = await stack.rest.send('sleeps', { seconds: 600 });
      const { status, body } = await stack.rest.terminate(id);
      assert.equal(status, 200, JSON.stringify(body));
      assert.equal(body.state, 'TERMINATED');
      const [read, list] = await Promise.all([
        stack.rest.get(id),
        stack.rest.call<{ events: EventAnswer[] }>('GET', `${F}/sleeps/events?state=TERMINATED&page_size=100`),
      ]);
      assert.deepEqual(read, body);
      assert.ok(
        list.body.events.some((event) => event.id === id),
        `list ${i}`,
      );
    }
    assert.deepEqual(await stack.rest.list('sleeps', 'state=QUEUED&state=RUNNING&state=TERMINATING'), []);
  });

  it('makes one event of one idempotency key: at once, again, and after it has ended', async () => {
    const headers = { 'idempotency-key': 'once' };
    const first = await Promise.all(Array.from({ length: 20 }, () => stack.rest.send('echo', { i: 1 }, { headers })));
    const ids = new Set(first.map((event) => event.id));
    assert.equal(ids.size, 1);
    const id = first[0]?.id ?? '';
    const ended = await stack.rest.ended(id);
    for (let i = 0; i < 5; i++) assert.equal((await stack.rest.send('echo', { i: 1 }, { headers })).id, id);
    const twice = await stack.rest.sendBatch('echo', [
      { payload: { i: 1 }, idempotency_key: 'once' },
      { payload: 2, idempotency_key: 'once' },
    ]);
    assert.deepEqual(twice, [id, undefined], 'the second is refused');
    const marker = await stack.rest.send('echo', 'after them'); // of the same lane: it comes to its turn after them
    await stack.rest.ended(marker.id);
    assert.deepEqual(await stack.rest.get(id), ended, 'it ran once');
    const other = await stack.rest.send('echo-other', 1, { headers });
    assert.notEqual(other.id, id, 'a key belongs to its function');
  });

  it('never runs code older than what was there when the event was accepted', async () => {
    const code = (n: number) => ({ 'index.js': `exports.handler = async () => ${n};\n` });
    await stack.rest.deploy({ name: 'changing', runtime: 'nodejs', handler: 'index.handler' }, code(0));
    for (let n = 1; n <= 10; n++) {
      const warm = await stack.rest.send('changing', null);
      assert.equal((await stack.rest.ended(warm.id)).result, n - 1);
      const put = await stack.rest.call('PUT', `${F}/changing/code`, await zipOf(code(n)), {
        headers: { 'content-type': 'application/zip' },
      });
      assert.equal(put.status, 200);
      const { id } = await stack.rest.send('changing', null);
      assert.equal((await stack.rest.ended(id)).result, n);
    }
  });

  it('conserves events: accepted is open plus ended', async () => {
    for (let i = 0; i < 3; i++)
      await stack.rest.sendBatch(
        'echo',
        Array.from({ length: 1_000 }, (_, n) => ({ payload: n })),
      );
    await stack.rest.send('echo', 1, { headers: { 'evenfall-delay': '1h' } });
    await eventually(async () => (await stack.metric('evenfall_queue_open')) === 1, 30_000);
    const [accepted, ended] = await Promise.all([
      stack.metric('evenfall_queue_accepted_total'),
      stack.metric('evenfall_queue_ended_total'),
    ]);
    assert.ok(ended > 3_000);
    assert.equal(accepted, ended + 1, 'with all those that were asked for twice under one key');
    assert.equal(await stack.metric('evenfall_queue_balance'), 0);
  });

  it('holds a delayed event back until its time, and no longer', async () => {
    const event = await stack.rest.send('echo', 1, { headers: { 'evenfall-delay': '1s' } });
    assert.equal((await stack.rest.get(event.id)).state, 'QUEUED');
    const ended = await stack.rest.ended(event.id);
    const waited = Date.parse(ended.start_time ?? '') - Date.parse(ended.create_time ?? '');
    assert.ok(waited >= 1_000 && waited < 1_500, `${waited} ms`);
  });

  it('retries a user error as often as it may, at its interval', async () => {
    const { id } = await stack.rest.send('throws-twice', {});
    const waiting = await eventually(async () => {
      const event = await stack.rest.get(id);
      return event.state === 'QUEUED' && event.attempts.length === 1 ? event : undefined;
    });
    assert.ok(waiting.next_attempt_time);
    const event = await stack.rest.ended(id);
    assert.deepEqual([event.state, event.status_code, event.attempts.length], ['FAILED', 430, 2]);
    assert.deepEqual(
      event.attempts.map(({ number, outcome, status_code }) => [number, outcome, status_code]),
      [
        [1, 'THREW', 430],
        [2, 'THREW', 430],
      ],
    );
    const pause = Date.parse(event.attempts[1]?.start_time ?? '') - Date.parse(event.attempts[0]?.end_time ?? '');
    assert.ok(pause >= 990 && pause < 1_600, `${pause} ms`);
    assert.match(JSON.stringify(event.error), /err msg/);
  });

  it('sends every state to a watcher, ends with the final one, and goes on where it was', async () => {
    const { id } = await stack.rest.send('sleeps', { seconds: 0.5 });
    const seen: { id: number; state: string }[] = [];
    for await (const sent of stack.rest.stream(`/v1/events/${id}:watch`)) {
      assert.equal(sent.event, 'change');
      seen.push({ id: Number(sent.id), state: (sent.data as EventAnswer).state });
    }
    assert.equal(seen.at(-1)?.state, 'SUCCEEDED');
    assert.ok(
      seen.some(({ state }) => state === 'RUNNING'),
      JSON.stringify(seen),
    );
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => a.id - b.id),
    );
    const collect = async (last: number): Promise<string[]> => {
      const states: string[] = [];
      for await (const sent of stack.rest.stream(`/v1/events/${id}:watch`, { headers: { 'last-event-id': String(last) } }))
        states.push((sent.data as EventAnswer).state);
      return states;
    };
    assert.deepEqual(await collect(seen[0]?.id ?? 0), ['SUCCEEDED']);
    assert.deepEqual(await collect(seen.at(-1)?.id ?? 0), [], 'nothing more to say');
  });

  it('resumes a watch that broke in the middle without repeating anything', async () => {
    const { id } = await stack.rest.send('graceful-killer-node', {});
    const leaving = new AbortController();
    let last = 0;
    await assert.rejects(async () => {
      for await (const sent of stack.rest.stream(`/v1/events/${id}:watch`, { signal: leaving.signal })) {
        last = Number(sent.id);
        if ((sent.data as EventAnswer).state === 'RUNNING') leaving.abort();
      }
    });
    const resumed: string[] = [];
    const reading = (async () => {
      for await (const sent of stack.rest.stream(`/v1/events/${id}:watch`, { headers: { 'last-event-id': String(last) } })) {
        assert.ok(Number(sent.id) > last);
        resumed.push((sent.data as EventAnswer).state);
      }
    })();
    await eventually(async () => (await stack.rest.logs(id)).some((line) => line.text === 'working'));
    await stack.rest.terminate(id, { graceful: true });
    await reading;
    assert.equal(resumed[0], 'TERMINATING');
    assert.equal(resumed.at(-1), 'TERMINATED');
  });

  it('notifies a gRPC watcher of the same', async () => {
    const { client, close } = grpcClient(EventServiceService, stack.grpc, { headers: stack.headers });
    try {
      const { event } = await client.createEvent({
        namespace: 'default',
        function: 'sleeps',
        qualifier: '',
        submission: { payload: Buffer.from('{"seconds":0.3}'), idempotencyKey: '', delay: undefined },
      });
      const states: State[] = [];
      let version = 0;
      for await (const change of client.watchEvent({ id: event?.id ?? '', afterVersion: 0 })) {
        assert.ok(change.version > version);
        version = change.version;
        states.push(change.event?.state ?? State.UNSPECIFIED);
      }
      assert.equal(states.at(-1), State.SUCCEEDED);
      const rest = [];
      for await (const change of client.watchEvent({ id: event?.id ?? '', afterVersion: version })) rest.push(change);
      assert.deepEqual(rest, []);
    } finally {
      close();
    }
  });

  it('follows a log line by line, in order, to its end', async () => {
    const { id } = await stack.rest.send('graceful-killer-node', {});
    const lines: string[] = [];
    let asked = false;
    for await (const sent of stack.rest.stream(`/v1/events/${id}/logs?follow=true`)) {
      if (sent.event === 'end') break;
      assert.equal(sent.event, 'line');
      lines.push((sent.data as LogLineAnswer).text);
      if (lines.at(-1) !== 'working' || asked) continue;
      asked = true;
      await stack.rest.terminate(id, { graceful: true });
    }
    assert.deepEqual(
      lines.filter((line) => !line.startsWith('Init Report') && !line.startsWith('Report') && !line.startsWith('[PLATFORM]')),
      [
        `START RequestId: ${id}`,
        'working',
        'do something before shutdown.',
        'Graceful shutdown.',
        `Response RequestId:${id} RetMsg:"END"`,
        `END RequestId:${id}`,
      ],
    );
    assert.match(lines.at(-1) ?? '', /^Report RequestId/);
    assert.equal(lines.filter((line) => line === '[PLATFORM] Signal received successfully').length, 1);
  });
});
