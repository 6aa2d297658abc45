// An instance is free for the next event when its runtime is, and an event begins when the runtime receives it.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { durationOfMs } from '@evenfall/time';
import { type Host, readStat, startHost } from './testing/host.ts';

const NODE = { runtime: 'nodejs', handler: 'index.handler' };
const CUSTOM = { runtime: 'custom', handler: 'x' };
/** Answers once it has a SIGTERM, tidies up for a while, and then requests its next event. */
const ASKS_AGAIN = `#!/usr/bin/env python3
import os, signal, time, urllib.request
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
while True:
    with urllib.request.urlopen(base + "next") as reply:
        event = reply.headers["Lambda-Runtime-Aws-Request-Id"]; reply.read()
    print("working", flush=True)
    while not stopped: time.sleep(0.02)
    urllib.request.urlopen(base + event + "/response", b'"END"').read()
    print("flushing", flush=True); time.sleep(0.3); print("flushed", flush=True)
`;

describe('An instance that has answered', () => {
  let host: Host;
  before(async () => {
    host = await startHost();
  });
  after(() => host.dispose());

  const startOf = (id: string) => host.reports.find((each) => each.eventId === id && each.report?.$case === 'started')?.report;
  const kindsOf = (id: string) => host.reports.filter((each) => each.eventId === id).map(({ report }) => report?.$case);

  it('gets no event that its program has not requested: one that serves a single event', async () => {
    const single = ASKS_AGAIN.replace('while True:', 'for _ in range(1):').replace('while not stopped', 'while False');
    const instance = await host.start(CUSTOM, { bootstrap: single });
    const first = host.run(instance);
    await host.line(first, 'working');
    const second = host.run(instance); // as a scheduler would that does not know yet
    assert.equal((await host.ended(first)).instanceBusy, true);
    await host.gone(instance);
    assert.deepEqual(kindsOf(second), ['throttled'], 'given back, not begun');
  });

  it('keeps an event waiting while it tidies up, and that time is not the event’s', async () => {
    const tail = ASKS_AGAIN.replace('while not stopped', 'while False').replace('time.sleep(0.3)', 'time.sleep(0.8)');
    const instance = await host.start({ ...CUSTOM, timeout: durationOfMs(500) }, { bootstrap: tail });
    const first = host.run(instance);
    assert.equal((await host.ended(first)).instanceBusy, true);
    const second = host.run(instance);
    const ended = await host.ended(second);
    assert.equal(ended.statusCode, 200);
    assert.ok(ended.durationMs < 500, `${ended.durationMs}`);
  });

  /** Waits until a program computes: its loop cannot be seen otherwise while no event is there to have its lines. */
  const computing = async (instance: string, id: string): Promise<void> => {
    const { line } = await host.line(id, /^pid \d+$/);
    const pid = host.pidOf(instance, line?.text.slice(4));
    let looks = 0; // in a row, 10 ms apart: handing an event over needs a moment too
    await host.until(() => (looks = readStat(pid)?.state === 'R' ? looks + 1 : 0) > 5, 'its loop runs');
  };

  it('has an event begin when Node receives it, not while an earlier event’s timer holds its loop', async () => {
    const code = `
exports.handler = async (event) => {
  console.log('pid ' + process.pid);
  if (event.n === 1) setTimeout(() => { const end = Date.now() + 1500; while (Date.now() < end); }, 20);
  return event.n;
};`;
    const instance = await host.start({ ...NODE, timeout: durationOfMs(600) }, { 'index.js': code });
    const first = host.run(instance, { n: 1 });
    const { endTime } = await host.ended(first);
    await computing(instance, first);
    const second = host.run(instance, { n: 2 });
    const ended = await host.ended(second);
    assert.deepEqual([ended.statusCode, ended.result.toString()], [200, '2']);
    const started = startOf(second);
    const startMs = started?.$case === 'started' ? (started.value.startTime?.getTime() ?? 0) : 0;
    assert.ok(startMs - (endTime?.getTime() ?? 0) > 500, 'it started after the loop was over');
  });

  for (const [what, leftover] of [
    ['a timer that keeps nothing alive', 'setTimeout(busy, 20).unref();'],
    [
      'a message to a port that keeps nothing alive',
      'const { port1, port2 } = new MessageChannel(); port1.onmessage = busy; port1.unref(); port2.unref(); setTimeout(() => port2.postMessage(1), 20).unref();',
    ],
    [
      'a connection that keeps nothing alive',
      "const server = require('node:net').createServer((socket) => { busy(); socket.destroy(); }).listen(0, () => setTimeout(() => require('node:net').connect(server.address().port).unref(), 20).unref()); server.unref();",
    ],
    ['promises that are due', 'Promise.resolve().then(() => Promise.resolve()).then(busy);'],
  ] as const)
    for (const way of ['done(null, event.n);', 'return event.n;'])
      it(`has an event begin when Node receives it, not while its loop is held by ${what}: ${way}`, async () => {
        const code = `
const busy = () => { const end = Date.now() + 1500; while (Date.now() < end); };
exports.handler = (event, context, done) => {
  console.log('pid ' + process.pid);
  if (event.n === 1) { ${leftover} }
  ${way}
};`;
        const instance = await host.start({ ...NODE, timeout: durationOfMs(600) }, { 'index.js': code });
        assert.equal((await host.ended(host.run(instance, { n: 0 }))).statusCode, 200);
        const first = host.run(instance, { n: 1 });
        assert.equal((await host.ended(first)).statusCode, 200);
        await computing(instance, first);
        const ended = await host.ended(host.run(instance, { n: 2 }));
        assert.deepEqual([ended.statusCode, ended.result.toString()], [200, '2']);
      });

  it('returns an event that was recalled before it was received, without running it', async () => {
    const code = `
exports.handler = async (event) => {
  console.log('pid ' + process.pid);
  console.log('handling ' + event.n);
  setTimeout(() => { for (;;); }, 20);
  return event.n;
};`;
    const instance = await host.start(NODE, { 'index.js': code });
    const first = host.run(instance, { n: 1 });
    await host.ended(first);
    await computing(instance, first);
    const second = host.run(instance, { n: 2 });
    host.stop(second, 'FORCE');
    await host.gone(instance);
    assert.deepEqual(kindsOf(second), ['revoked']);
    assert.equal(
      host.lines.some(({ line }) => line?.text === 'handling 2'),
      false,
    );
  });

  it('gets no event for which its server accepts no connection: one that leaves after its second answer', async () => {
    const server = `#!/usr/bin/env node
let count = 0;
const server = require('node:http').createServer((request, response) => {
  if (++count === 2) server.close();
  response.end(JSON.stringify(count));
});
server.listen(process.env.PORT, '0.0.0.0');
`;
    const instance = await host.start({ runtime: 'web', handler: 'x' }, { bootstrap: server });
    for (const result of ['1', '2']) assert.equal((await host.ended(host.run(instance))).result.toString(), result);
    const third = host.run(instance);
    await host.gone(instance);
    assert.deepEqual(kindsOf(third), ['throttled'], 'given back, not begun');
  });

  it('is not free while what it does in the turn of its answer goes on', async () => {
    const code = `
exports.handler = async (event) => {
  if (event.n === 1) setImmediate(() => { const end = Date.now() + 400; while (Date.now() < end); });
  return event.n;
};`;
    const instance = await host.start(NODE, { 'index.js': code });
    const ended = await host.ended(host.run(instance, { n: 1 }));
    assert.equal(ended.instanceBusy, true);
    const readies = () => host.changes.filter((each) => each.instanceId === instance && each.change?.$case === 'ready').length;
    await host.until(() => readies() === 2, 'it reports that it is free');
    assert.equal((await host.ended(host.run(instance, { n: 2 }))).statusCode, 200);
  });

  it('is free at once where nothing is left behind', async () => {
    const instance = await host.start(NODE, { 'index.js': 'exports.handler = async (event) => event.n;' });
    for (let n = 0; n < 20; n++) {
      const ended = await host.ended(host.run(instance, { n }));
      assert.equal(ended.result.toString(), String(n));
    }
    await host.ready(instance);
  });
});
