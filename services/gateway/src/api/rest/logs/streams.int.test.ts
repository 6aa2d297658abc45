import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Event } from '@evenfall/contracts/v1/event';
import { eventually } from '@evenfall/testkit';
import { startGateway } from '../../../service.ts';
import { fakeWorld } from '../../../testing/fakes.ts';
import { openApis, SETTINGS, WITH_KEY } from '../../../testing/harness.ts';

const ID = '01990000-0000-7000-8000-000000000002';

describe('streams of the REST API', () => {
  const apis = openApis();

  it('sends every change with its version and ends with the final state', async () => {
    apis.world.events.set(ID, Event.create({ id: ID, state: 1 }));
    const opened = fetch(`${apis.url}/v1/events/${ID}:watch`, { headers: { ...WITH_KEY, 'last-event-id': '3' } });
    const watch = await eventually(() => apis.world.watches.at(-1));
    assert.equal(watch.after, 3);
    watch.out.push({ event: Event.create({ id: ID, state: 2 }), version: 4 });
    const response = await opened;
    assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
    watch.out.push({ event: Event.create({ id: ID, state: 4, result: Buffer.from('"a b"') }), version: 5 });
    watch.out.end();
    const text = await response.text();
    assert.match(
      text,
      /id: 4\nevent: change\ndata: \{"id":.*"state":"RUNNING".*\}\n\nid: 5\nevent: change\ndata: .*"state":"SUCCEEDED".*\n\n$/,
    );
  });

  it('opens before anything happens, and lets go when the reader goes', async () => {
    const controller = new AbortController();
    const response = await fetch(`${apis.url}/v1/events/${ID}:watch`, { signal: controller.signal, headers: WITH_KEY });
    assert.equal(response.status, 200);
    const watch = apis.world.watches.at(-1);
    assert.equal(watch?.out.closed, false);
    controller.abort();
    await eventually(() => {
      watch?.out.push({ event: undefined, version: 1 });
      return watch?.out.closed;
    });
  });

  it('answers a stream that has nothing more to say with 204', async () => {
    const opened = fetch(`${apis.url}/v1/events/${ID}:watch`, { headers: { ...WITH_KEY, 'last-event-id': '2147483647' } });
    await eventually(() => apis.world.watches.at(-1)?.after === 2_147_483_647);
    apis.world.watches.at(-1)?.out.end();
    assert.equal((await opened).status, 204);
  });

  it('reports a failure during the stream as an event', async () => {
    const opened = fetch(`${apis.url}/v1/events/${ID}:watch`, { headers: { ...WITH_KEY, 'last-event-id': '11' } });
    const watch = await eventually(() => apis.world.watches.find(({ after }) => after === 11));
    watch.out.push({ event: Event.create({ id: ID, state: 2 }), version: 12 });
    const response = await opened;
    watch.out.fail(new Error('inner'));
    assert.match(await response.text(), /event: error\ndata: \{"error":\{"code":500,.*\n\n$/);
  });

  it('ends its streams when the API stops, and lets calls under way finish', async () => {
    const world = fakeWorld();
    world.events.set(ID, Event.create({ id: ID, state: 2 }));
    const gateway = await startGateway(world.ports, SETTINGS);
    const response = await fetch(`http://127.0.0.1:${gateway.httpPort}/v1/events/${ID}:watch`, { headers: WITH_KEY });
    const text = response.text();
    const began = performance.now();
    await gateway.stop();
    assert.equal(await text, 'retry: 1000\n\n');
    assert.ok(performance.now() - began < 1_500);
  });

  it('lists and follows log lines', async () => {
    const listed = await (await fetch(`${apis.url}/v1/events/${ID}/logs`, { headers: WITH_KEY })).json();
    assert.deepEqual(listed, {
      lines: [{ time: '1970-01-01T00:00:00.000Z', stream: 'PLATFORM', attempt: 1, instance_id: '', text: `START RequestId: ${ID}` }],
      next_page_token: '',
    });
    const followed = await (await fetch(`${apis.url}/v1/events/${ID}/logs?follow=true`, { headers: WITH_KEY })).text();
    assert.match(followed, /id: 1\nevent: line\ndata: .*\n\nid: 2\nevent: line\ndata: .*\n\nid: end\nevent: end\ndata: \{\}\n\n$/);
  });

  it('goes on with a log after the line that was read last, and says no more after its end', async () => {
    const follow = (id: string) => fetch(`${apis.url}/v1/events/${ID}/logs?follow=true`, { headers: { ...WITH_KEY, 'last-event-id': id } });
    const rest = await (await follow('1')).text();
    assert.deepEqual(rest.match(/^id: .*$/gm), ['id: 2', 'id: end']);
    assert.deepEqual((await (await follow('2')).text()).match(/^id: .*$/gm), ['id: end']);
    assert.equal((await follow('end')).status, 204);
  });

  it('writes a result with line ends as lines of data', async () => {
    const opened = fetch(`${apis.url}/v1/events/${ID}:watch`, { headers: { ...WITH_KEY, 'last-event-id': '21' } });
    const watch = await eventually(() => apis.world.watches.find(({ after }) => after === 21));
    watch.out.push({ event: Event.create({ id: ID, state: 4, result: Buffer.from('{"answer":\r\n 1.0}\r\n\n') }), version: 22 });
    watch.out.end();
    const text = (await (await opened).text()).replace('retry: 1000\n\n', '');
    const lines = text.trimEnd().split('\n');
    assert.ok(
      lines.every((line) => /^(id|event|data): /.test(line) || line === 'data: '),
      text,
    );
    const data = lines.filter((line) => line.startsWith('data: ')).map((line) => line.slice(6));
    assert.match(data.join('\n'), /"result":\{"answer":\n 1\.0\}\n\n,"error":null/);
  });
});
