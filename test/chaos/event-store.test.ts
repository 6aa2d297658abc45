// Two replicas of the event-store on a real Kafka: reads at either, the loss of either, and a view that is made anew from the log.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import { createPool } from '@evenfall/postgres';
import { eventually } from '@evenfall/testkit';
import { whyNoKafka } from '@evenfall/testkit/kafka';
import { startTestCluster, type TestCluster } from '../support/cluster.ts';
import { checkHistory, checkRuns, nothingOpen } from '../support/invariants.ts';
import { type Load, startLoad } from '../support/load.ts';
import type { EventAnswer } from '../support/rest-client.ts';
import { openWitness, type Witness, WITNESS, WITNESSED } from '../support/witness.ts';

const STORES = ['event-store', 'event-store-2'] as const;

const why = whyNoKafka();
if (why !== undefined && process.env['CI']) throw new Error(`The cluster cannot be tested: ${why}.`);

describe('Two event-stores', { timeout: 300_000, skip: why !== undefined }, () => {
  let witness: Witness;
  const accepted: string[] = [];
  const loads: Load[] = [];
  let cluster: TestCluster;
  before(async () => {
    witness = await openWitness();
    cluster = await startTestCluster({ log: 'kafka', eventStores: 2, queues: 1, agents: 1, env: WITNESSED });
    await cluster.rest.deploy(witness.fn(), { 'index.js': WITNESS });
  });
  after(async () => {
    await cluster.dispose();
    witness.close();
  });
  afterEach(async () => {
    for (const one of cluster.processes) {
      one.start();
      await one.ready();
    }
    for (const one of loads.splice(0)) await one.stop();
  });

  const load = (perSecond: number): Load => {
    const started = startLoad(cluster.rest, 'witness', perSecond, { ms: 5 });
    loads.push(started);
    return started;
  };
  const settled = async (withinMs: number): Promise<void> => {
    await nothingOpen(cluster.rest, 'witness', withinMs);
    checkRuns(witness, checkHistory(await cluster.rest.list('witness', 'order_by=end_time'), accepted));
  };
  /** Of every ended event and every count, whatever order they were written in. */
  const hashOfView = async (): Promise<string> => {
    const sql = createPool({ kind: 'url', url: cluster.process('postgres').addresses['url'] ?? '' }, { name: 'test', max: 1 });
    const hash = createHash('sha256');
    for (const table of ['ended_event', 'ended_count', 'open_event', 'dead_letter', 'delivery'])
      for (const { text } of await sql.unsafe<{ text: string }[]>(`SELECT to_jsonb(t)::text AS text FROM events.${table} t ORDER BY 1`))
        hash.update(text);
    await sql.end();
    return hash.digest('hex');
  };

  it('share the log, and either answers for all of it: right after an accept, and while one watches', async () => {
    await eventually(async () => {
      for (const name of STORES) assert.ok((await cluster.metric(name, 'evenfall_event_store_open_events')) >= 0);
      return true;
    }, 10_000);
    for (let n = 0; n < 40; n++) {
      const { id } = await cluster.rest.send('witness', { n, ms: 20 });
      accepted.push(id);
      assert.equal((await cluster.rest.get(id)).id, id); // never "not found", whichever answers
      const states: string[] = [];
      for await (const { data } of cluster.rest.stream(`/v1/events/${id}:watch`)) states.push((data as EventAnswer).state);
      assert.equal(states.at(-1), 'SUCCEEDED');
    }
    const folded = await Promise.all(STORES.map((name) => cluster.metric(name, 'evenfall_event_store_records_folded_total')));
    assert.ok(Math.max(...folded) > 0);
    await settled(20_000);
  });

  for (const victim of STORES) {
    it(`lose nothing when ${victim} is killed under load, and go on without it`, async () => {
      const running = load(40);
      await eventually(() => running.accepted.length > 60, 15_000);
      await cluster.process(victim).kill9();
      const atKill = running.accepted.length;
      // The dead one's partitions are shared out anew after a session; from then on its records are folded by the other.
      await eventually(
        async () => running.accepted.length > atKill + 100 && (await cluster.rest.list('witness', 'state=SUCCEEDED')).length > 0,
        60_000,
      );
      await running.stop();
      assert.deepEqual([running.refused.length, running.broken.length], [0, 0], 'accepts do not need the view');
      accepted.push(...running.accepted);
      await settled(60_000);
      assert.equal(cluster.process(victim).isRunning, false);
    });
  }

  const endedCount = (): Promise<number> => cluster.metric('queue-1', 'evenfall_queue_ended_total');

  it('are both away while a function writes, which goes on, and none of its lines is lost', async () => {
    const { rest } = cluster;
    const code =
      'import time\ndef handler(event, context):\n  for n in range(120):\n    print("line", n)\n    time.sleep(0.05)\n  return "said"\n';
    await rest.deploy({ name: 'talks', runtime: 'python3', handler: 'index.handler', timeout: '60s' }, { 'index.py': code });
    const { id } = await rest.send('talks', {});
    await eventually(async () => (await rest.logs(id)).some(({ text }) => text === 'line 3'), 30_000);
    const ended = await endedCount();
    for (const name of STORES) await cluster.process(name).kill9();
    assert.equal((await rest.call('GET', `/v1/events/${id}`)).status, 503);
    await eventually(async () => (await endedCount()) > ended, 60_000); // the function writes all its lines while both are away
    for (const name of STORES) cluster.process(name).start();
    for (const name of STORES) await cluster.process(name).ready();
    const event = await eventually(async () => {
      const { status, body } = await rest.call<EventAnswer>('GET', `/v1/events/${id}`);
      return status === 200 && body.state === 'SUCCEEDED' ? body : undefined;
    }, 60_000);
    assert.deepEqual([event.attempts.length, event.result], [1, 'said'], 'it was not disturbed');
    await eventually(async () => {
      const lines = (await rest.logs(id)).filter(({ stream }) => stream === 'STDOUT').map(({ text }) => text);
      assert.deepEqual(
        lines,
        Array.from({ length: 120 }, (_, n) => `line ${n}`),
      );
      return true;
    }, 30_000);
  });

  it('make the same view again from the log when it is lost', async () => {
    await settled(20_000);
    const hash = await hashOfView();
    for (const name of STORES) await cluster.process(name).stop();
    const sql = createPool({ kind: 'url', url: cluster.process('postgres').addresses['url'] ?? '' }, { name: 'test', max: 1 });
    await sql`DROP SCHEMA events CASCADE`;
    await sql.end();
    for (const name of STORES) cluster.process(name).start();
    for (const name of STORES) await cluster.process(name).ready();
    await settled(60_000);
    assert.equal(await hashOfView(), hash);
  });
});
