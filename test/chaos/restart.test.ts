import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { Event_State as State } from '@evenfall/contracts/v1/event';
import { EventServiceService } from '@evenfall/contracts/v1/event_service';
import { grpcClient } from '@evenfall/rpc';
import { eventually, patient, tempDir } from '@evenfall/testkit';
import { isAlive } from '../support/processes.ts';
import { checkHistory } from '../support/invariants.ts';
import { type Stack, startStack } from '../support/stack.ts';

const EVENTS = 2_000;
const OPEN = 'state=QUEUED&state=RUNNING&state=TERMINATING';
/** Sleeps a little, so that there is a middle to be killed in. */
const NAP = 'exports.handler = async (event) => { await new Promise((r) => setTimeout(r, 4)); return event; };\n';

describe('a stack that is started again', () => {
  const cleanups: (() => Promise<void> | void)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });
  const folder = (): string => {
    const dir = tempDir('restart');
    cleanups.push(() => dir.remove());
    return dir.path;
  };
  const start = async (dataDir: string): Promise<Stack> => {
    const stack = await startStack({ dataDir });
    cleanups.push(() => stack.dispose());
    return stack;
  };
  /** Hands over all events, in batches, and waits for the middle of them. */
  const untilTheMiddle = async (stack: Stack): Promise<string[]> => {
    await stack.rest.deploy({ name: 'naps', runtime: 'nodejs', handler: 'index.handler', timeout: '10s' }, { 'index.js': NAP });
    const ids: string[] = [];
    for (let at = 0; at < EVENTS; at += 500)
      ids.push(
        ...(await stack.rest.sendBatch(
          'naps',
          Array.from({ length: 500 }, (_, n) => ({ payload: at + n })),
        )),
      );
    await eventually(async () => (await stack.metric('evenfall_queue_ended_total')) > EVENTS / 5, 30_000);
    return ids;
  };
  const settled = async (stack: Stack, accepted: readonly string[]): Promise<void> => {
    await eventually(async () => (await stack.rest.list('naps', OPEN)).length === 0, 60_000);
    await eventually(async () => (await stack.metric('evenfall_queue_open')) === 0);
    assert.equal(await stack.metric('evenfall_queue_balance'), 0);
    checkHistory(await stack.rest.list('naps'), accepted);
  };

  it('has every accepted event, and ran none twice to its end, after kill -9 of everything', async () => {
    const dataDir = folder();
    const first = await start(dataDir);
    const ids = await untilTheMiddle(first);
    await first.kill9();
    const second = await start(dataDir);
    await settled(second, ids);
  });

  it('has them after kill -9 of the main process alone, whose Postgres and functions it leaves behind', async () => {
    const dataDir = folder();
    const first = await start(dataDir);
    const ids = await untilTheMiddle(first);
    const postgres = first.postgresPid();
    await first.killMain9();
    const second = await start(dataDir);
    assert.equal(isAlive(postgres), false, 'the old server does not run beside the new one');
    await settled(second, ids);
  });

  it('reports after kill -9 what a watcher was notified of before: the end, which may not be in the view yet', async () => {
    const dataDir = folder();
    const first = await start(dataDir);
    await first.rest.deploy({ name: 'naps', runtime: 'nodejs', handler: 'index.handler', timeout: '10s' }, { 'index.js': NAP });
    const { client, close } = grpcClient(EventServiceService, first.grpc, { headers: first.headers });
    const seen: string[] = [];
    for (let n = 0; n < 30; n++) {
      const { id } = await first.rest.send('naps', n);
      for await (const { event } of client.watchEvent({ id, afterVersion: 0 })) if (event?.state === State.SUCCEEDED) seen.push(id);
    }
    await first.kill9();
    close();
    assert.equal(seen.length, 30);
    const second = await start(dataDir);
    for (const id of seen) assert.equal((await second.rest.get(id)).state, 'SUCCEEDED');
  });

  it('leaves with code 1 when its Postgres is killed, and loses nothing', async () => {
    const dataDir = folder();
    const first = await start(dataDir);
    const ids = await untilTheMiddle(first);
    const functions = first.functionPids();
    assert.ok(functions.length > 0);
    process.kill(first.postgresPid(), 'SIGKILL');
    assert.equal(await first.exited, 1);
    assert.match(first.stderr(), /the embedded database is gone/);
    await eventually(() => functions.every((pid) => !isAlive(pid)), 5_000);
    const second = await start(dataDir);
    await settled(second, ids);
  });

  it('stops in order within 10 s in the middle of its work, loses nothing, and is ready again within 5 s', async () => {
    const dataDir = folder();
    const first = await start(dataDir);
    const ids = await untilTheMiddle(first);
    const functions = first.functionPids();
    const postgres = first.postgresPid();
    const began = performance.now();
    assert.equal(await first.stop(), 0);
    const tookMs = performance.now() - began;
    assert.ok(tookMs < patient(10_000), `${tookMs} ms`);
    assert.deepEqual([...functions, postgres].filter(isAlive), [], 'nothing of it is left when it has gone');
    const second = await start(dataDir);
    assert.ok(second.readyMs < patient(5_000), `ready after ${second.readyMs} ms`);
    await settled(second, ids);
  });

  it('keeps what was said about an event: a terminated one never starts, a delayed one does, a running one runs again', async () => {
    const dataDir = folder();
    const first = await start(dataDir);
    for (const example of ['echo', 'sleeps']) await first.rest.deployExample(example);
    const terminated = await first.rest.send('echo', 1, { headers: { 'evenfall-delay': '3s' } });
    await first.rest.terminate(terminated.id);
    const delayed = await first.rest.send('echo', 2, { headers: { 'evenfall-delay': '3s', 'idempotency-key': 'kept' } });
    const running = await first.rest.send('sleeps', { seconds: 2 });
    const ended = await first.rest.ended((await first.rest.send('echo', 3, { headers: { 'idempotency-key': 'over' } })).id);
    await first.rest.reaches(running.id, 'RUNNING');
    await first.kill9();

    const second = await start(dataDir);
    assert.deepEqual(await second.rest.get(ended.id), ended);
    assert.equal((await second.rest.send('echo', 3, { headers: { 'idempotency-key': 'over' } })).id, ended.id);
    assert.equal((await second.rest.send('echo', 2, { headers: { 'evenfall-delay': '3s', 'idempotency-key': 'kept' } })).id, delayed.id);
    const late = await second.rest.ended(delayed.id);
    assert.deepEqual([late.state, late.result, late.attempts.length], ['SUCCEEDED', 2, 1]);
    const still = await second.rest.get(terminated.id);
    assert.deepEqual([still.state, still.attempts.length], ['TERMINATED', 0]);
    const again = await second.rest.ended(running.id, 60_000);
    assert.deepEqual([again.state, again.attempts.map(({ outcome }) => outcome)], ['SUCCEEDED', ['LOST', 'RETURNED']]);
    assert.deepEqual(await second.rest.get(ended.id), ended, 'a key that is said again after a start changes nothing');
  });
});
