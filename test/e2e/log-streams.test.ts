import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { LogLineAnswer } from '../support/rest-client.ts';
import { type Stack, startStack } from '../support/stack.ts';

/** Fails once, with lines of its own, and then writes until it is asked to stop. */
const WRITER = `import signal, time
stop = []
def main(event, context):
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    for n in range(3):
        print("line %d" % n, flush=True)
    if event == "fail":
        raise ValueError("no")
    while not stop:
        print("tick", flush=True)
        time.sleep(0.05)
    print("stopping", flush=True)
    return {"laid": "out"}
`;
type Line = { readonly id: string | undefined; readonly event: string; readonly text: string };

describe('a followed log', () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack();
    const fn = { name: 'writer', runtime: 'python3', handler: 'index.main', timeout: '60s' };
    await stack.rest.deploy({ ...fn, event_invoke: { max_retries: 1, retry_interval: '1s' } }, { 'index.py': WRITER });
  });
  after(() => stack.dispose());

  /** Lines of a stream, up to so many. */
  const follow = async (id: string, lastId?: string, most = Infinity): Promise<Line[]> => {
    const lines: Line[] = [];
    const controller = new AbortController();
    const options = { signal: controller.signal, ...(lastId === undefined ? {} : { headers: { 'last-event-id': lastId } }) };
    for await (const { id: own, event, data } of stack.rest.stream(`/v1/events/${id}/logs?follow=true`, options)) {
      lines.push({ id: own, event, text: event === 'line' ? (data as LogLineAnswer).text : '' });
      if (lines.length >= most) break;
    }
    controller.abort();
    return lines;
  };

  it('goes on after any line, over attempts and signals, and rests after its end', async () => {
    const { id } = await stack.rest.send('writer', 'fail');
    await stack.rest.ended(id, 30_000);
    const all = await follow(id);
    const listed = (await stack.rest.logs(id)).map(({ text }) => text);
    assert.deepEqual(
      all.map(({ text }) => text),
      [...listed, ''],
    );
    assert.deepEqual([all.at(-1)?.event, all.filter(({ event }) => event === 'line').length], ['end', listed.length]);
    assert.equal(new Set(all.map((line) => line.id)).size, all.length, 'every line has an id of its own');
    for (const [i, line] of all.entries()) assert.deepEqual(await follow(id, line.id), all.slice(i + 1), `after ${line.text}`);
    const bad = await stack.rest.call('GET', `/v1/events/${id}/logs?follow=true`, undefined, { headers: { 'last-event-id': '7' } });
    assert.equal(bad.status, 400);
  });

  it('misses nothing and repeats nothing while its reader comes and goes', async () => {
    const { id } = await stack.rest.send('writer', 'run');
    await stack.rest.reaches(id, 'RUNNING');
    const seen: Line[] = [];
    for (let n = 0; n < 6; n++) seen.push(...(await follow(id, seen.at(-1)?.id, 4)));
    await stack.rest.terminate(id, { graceful: true, grace_period: '10s' });
    seen.push(...(await follow(id, seen.at(-1)?.id)));
    await stack.rest.ended(id, 30_000);
    const whole = await follow(id);
    const sorted = (lines: readonly Line[]): string[] => lines.map(({ text }) => text.replace(/MemUsage: \S+/, '')).sort(); // not known while it runs
    assert.deepEqual(sorted(seen), sorted(whole), 'the same lines');
    assert.equal(new Set(seen.map((line) => line.id)).size, seen.length);
    assert.equal(seen.at(-1)?.event, 'end');
  });
});
