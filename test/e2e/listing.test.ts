import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { runCli } from '../support/cli.ts';
import type { EventAnswer } from '../support/rest-client.ts';
import { type Stack, startStack } from '../support/stack.ts';

const F = '/v1/namespaces/default/functions';
const EVENTS = 250;
const idsOf = (events: readonly EventAnswer[]): string[] => events.map(({ id }) => id);

describe('listing events', () => {
  let stack: Stack;
  let ended: string[];
  before(async () => {
    stack = await startStack();
    const { rest } = stack;
    await rest.deployExample('echo');
    await rest.deployExample('throws');
    await rest.call('POST', `${F}/echo/versions`, {});
    ended = await rest.sendBatch(
      'echo',
      Array.from({ length: EVENTS }, (_, n) => ({ payload: n })),
    );
    await eventually(async () => (await rest.list('echo', 'state=SUCCEEDED')).length === EVENTS, 20_000);
  });
  after(() => stack.dispose());

  for (const orderBy of ['start_time', 'end_time']) {
    for (const order of ['desc', 'asc']) {
      it(`goes through all by ${orderBy} ${order} without a repeat or a gap while new ones come`, async () => {
        const { rest } = stack;
        const query = `order_by=${orderBy}&order=${order}&state=SUCCEEDED`;
        const seen: EventAnswer[] = [];
        const fresh: string[] = [];
        let token = '';
        do {
          const path = `${F}/echo/events?page_size=17&${query}${token && `&page_token=${token}`}`;
          const { body } = await rest.call<{ events: EventAnswer[]; next_page_token: string }>('GET', path);
          seen.push(...body.events);
          token = body.next_page_token;
          fresh.push(...(await rest.sendBatch('echo', [{ payload: 'new' }, { payload: 'new' }])));
        } while (token !== '' && seen.length < 10 * EVENTS);
        const ids = idsOf(seen);
        assert.equal(new Set(ids).size, ids.length, 'no repeats');
        assert.deepEqual(
          ended.filter((id) => !ids.includes(id)),
          [],
          'no gaps',
        );
        const times = seen.map((event) => Date.parse((orderBy === 'start_time' ? event.create_time : event.end_time) ?? ''));
        const sorted = [...times].sort((a, b) => (order === 'asc' ? a - b : b - a));
        assert.deepEqual(times, sorted);
        for (const id of fresh) await rest.ended(id);
      });
    }
  }

  it('finds by state, version, trigger and time, the borders closed on the left and open on the right', async () => {
    const { rest } = stack;
    const failed = await rest.ended((await rest.send('throws', 1)).id);
    assert.deepEqual(idsOf(await rest.list('throws', 'state=FAILED')), [failed.id]);
    assert.deepEqual(await rest.list('throws', 'state=SUCCEEDED&state=TERMINATED'), []);
    const versioned = await rest.ended((await rest.send('echo', 1, { headers: { 'evenfall-qualifier': '1' } })).id);
    assert.equal(versioned.version, '1');
    assert.deepEqual(idsOf(await rest.list('echo', 'qualifier=1')), [versioned.id]);
    assert.deepEqual(await rest.list('throws', 'trigger=timer'), []);
    assert.deepEqual(idsOf(await rest.list('throws', 'trigger=api')), [failed.id]);
    for (const [field, time] of [
      ['start_time', failed.start_time],
      ['end_time', failed.end_time],
    ] as const) {
      const later = new Date(Date.parse(time ?? '') + 1).toISOString();
      assert.deepEqual(idsOf(await rest.list('throws', `${field}_after=${time}&${field}_before=${later}`)), [failed.id], field);
      assert.deepEqual(await rest.list('throws', `${field}_before=${time}`), [], field);
      assert.deepEqual(await rest.list('throws', `${field}_after=${later}`), [], field);
    }
    assert.deepEqual(await rest.list('unknown'), [], 'what was deleted may still have events, so the list of an unknown one is empty');
  });

  it('puts what has not ended before or after all that has, by end', async () => {
    const { rest } = stack;
    await rest.deployExample('echo', { name: 'few' });
    const open: string[] = [];
    for (let i = 0; i < 5; i++) open.push((await rest.send('few', i, { headers: { 'evenfall-delay': '1h' } })).id);
    const done: string[] = [];
    for (let i = 0; i < 3; i++) done.push((await rest.ended((await rest.send('few', i)).id)).id);
    const descending = idsOf(await rest.list('few', 'order_by=end_time&order=desc', 2));
    assert.deepEqual(new Set(descending.slice(0, 5)), new Set(open));
    assert.deepEqual(descending.slice(5), [...done].reverse());
    assert.deepEqual(idsOf(await rest.list('few', 'order_by=end_time&order=asc', 2)), [...descending].reverse());
    assert.equal((await rest.list('few', `end_time_after=2026-01-01T00:00:00Z`)).length, 3, 'what has no end has no time of it');
    assert.equal((await rest.list('few', 'state=QUEUED')).length, 5);
  });

  it('gives pages of the size that was asked for, 20 without one, 100 at most', async () => {
    const size = async (query: string): Promise<number> =>
      (await stack.rest.call<{ events: unknown[] }>('GET', `${F}/echo/events?${query}`)).body.events.length;
    assert.deepEqual(
      await Promise.all([size(''), size('page_size=0'), size('page_size=7'), size('page_size=100'), size('page_size=5000')]),
      [20, 20, 7, 100, 100],
    );
  });

  it('says how many there are, and counts them by function and state', async () => {
    const { rest } = stack;
    const all = (await rest.list('echo')).length;
    const page = await rest.call<{ total_size: number; total_size_is_estimate: boolean }>(
      'GET',
      `${F}/echo/events?page_size=1&show_total_size=true`,
    );
    assert.deepEqual([page.body.total_size, page.body.total_size_is_estimate], [all, false]);
    const without = await rest.call<object>('GET', `${F}/echo/events?page_size=1`);
    assert.ok(!('total_size' in without.body));
    const counts = await rest.call('GET', '/v1/namespaces/default/events:count');
    const one = await rest.call<{ counts: { count: number }[] }>('GET', `${F}/echo/events:count`);
    assert.deepEqual(one.body, { counts: [{ function: 'echo', state: 'SUCCEEDED', count: all }] });
    assert.ok(JSON.stringify(counts.body).includes(JSON.stringify(one.body.counts[0])));
    const seen = await runCli(stack, ['events', 'count', 'echo']);
    assert.match(seen.stdout, new RegExp(`FUNCTION +STATE +EVENTS\\necho +SUCCEEDED +${all}\\n`));
    assert.match(
      (await runCli(stack, ['events', 'list', 'echo', '--limit', '1', '--total'])).stdout,
      new RegExp(`\\n${all} in all\\nmore: `),
    );
  });

  it('narrows down a log by attempt, stream and text, page by page and while it grows', async () => {
    const { rest } = stack;
    const code = 'import sys\ndef handler(e, c):\n  for i in range(5): print("line", i)\n  print("oops", file=sys.stderr)\n  return 1\n';
    await rest.deploy({ name: 'talks', runtime: 'python3', handler: 'index.handler' }, { 'index.py': code });
    const { id } = await rest.send('talks', 1);
    const texts = async (query: string): Promise<string[]> => {
      const found: string[] = [];
      for await (const { event, data } of rest.stream(`/v1/events/${id}/logs?follow=true&${query}`))
        if (event !== 'end') found.push((data as { text: string }).text);
      const { body } = await rest.call<{ lines: { text: string }[] }>('GET', `/v1/events/${id}/logs?${query}`);
      assert.deepEqual(found, body.lines.map(({ text }) => text), query); // prettier-ignore
      return found;
    };
    assert.deepEqual(await texts('stream=STDERR'), ['oops']);
    assert.deepEqual(await texts('contains=line%203'), ['line 3']);
    assert.equal((await texts('stream=STDOUT&stream=STDERR&attempt=1')).length, 6);
    assert.deepEqual(await texts('attempt=2'), []);
    assert.deepEqual(await texts('instance_id=unknown'), []);
    assert.ok((await texts('stream=PLATFORM')).some((text) => text.startsWith('START RequestId')));
    const first = await rest.call<{ lines: unknown[]; next_page_token: string }>('GET', `/v1/events/${id}/logs?stream=STDOUT&page_size=2`);
    const other = await rest.call('GET', `/v1/events/${id}/logs?stream=STDERR&page_size=2&page_token=${first.body.next_page_token}`);
    assert.deepEqual([first.body.lines.length, other.status], [2, 400]);
    assert.equal((await runCli(stack, ['logs', id, '--grep', 'line', '--stream', 'stdout'])).stdout.split('\n').length, 6);
  });

  it('shows what a purge would drop, and drops nothing', async () => {
    const { rest } = stack;
    const asked = { dry_run: true, time: new Date(Date.now() + 80 * 3_600_000).toISOString() };
    const { body } = await rest.call<{ partitions: { kind: string; due_time: string }[] }>('POST', '/v1/purge', asked);
    assert.ok(body.partitions.some(({ kind }) => kind === 'EVENTS') && body.partitions.some(({ kind }) => kind === 'LOG_LINES'));
    assert.ok(body.partitions.every(({ due_time: due }) => due <= asked.time));
    const table = await runCli(stack, ['purge', '--dry-run', '--at', asked.time]);
    assert.match(table.stdout, /PARTITION +HOLDS +FROM +TO +DUE +ROWS +SIZE\n(ended_event|log_line)_h\d+ +/);
    assert.match(table.stdout, new RegExp(`\\n${body.partitions.length} partitions, [\\d.]+ [KM]B: would be dropped.\\n`));
    assert.equal((await runCli(stack, ['purge', '--dry-run'])).stdout, 'Nothing would be dropped.\n');
    assert.equal((await runCli(stack, ['purge'])).stdout, 'Nothing was dropped.\n');
    assert.equal((await rest.call('POST', '/v1/purge', { time: asked.time })).status, 400);
    assert.equal((await runCli(stack, ['purge', '--at', asked.time])).code, 2);
    assert.ok((await rest.list('echo')).length > 0);
  });
});
