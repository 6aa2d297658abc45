// The cluster shape when parts of it go away: every service a process of its own, a real Kafka and a real Postgres beside them.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { whyNoKafka } from '@evenfall/testkit/kafka';
import { startTestCluster, type TestCluster } from '../support/cluster.ts';
import { checkHistory, checkRuns, nothingOpen } from '../support/invariants.ts';
import { type Load, startLoad } from '../support/load.ts';
import { openWitness, type Witness, WITNESS, WITNESSED } from '../support/witness.ts';

/** More than a replica ends before it can be killed; EVENFALL_CHAOS_EVENTS=20000 is for a look at a large backlog. */
const EVENTS = Number(process.env['EVENFALL_CHAOS_EVENTS'] ?? 6_000);
const PER_SECOND = 50;
/** What is sent in ten seconds: longer than the session of a group's member, and than any pause before a retry. */
const SENT_WHILE_AWAY = 10 * PER_SECOND;
/** Longer than it takes to send so many, by far. */
const AWAY_WITHIN_MS = 90_000;
const FUNCTIONS = '/v1/namespaces/default/functions';

const why = whyNoKafka();
if (why !== undefined && process.env['CI']) throw new Error(`The cluster cannot be tested: ${why}.`);

describe('A cluster that loses a part of itself', { timeout: 600_000, skip: why !== undefined }, () => {
  let witness: Witness;
  const accepted: string[] = [];
  let cluster: TestCluster;
  before(async () => {
    witness = await openWitness();
    cluster = await startTestCluster({ log: 'kafka', queues: 2, agents: 2, env: WITNESSED });
    await cluster.rest.deploy(witness.fn(), { 'index.js': WITNESS });
  });
  after(async () => {
    await cluster.dispose();
    witness.close();
  });

  const loads: Load[] = [];
  const load = (perSecond: number, ms: number): Load => {
    const started = startLoad(cluster.rest, 'witness', perSecond, { ms });
    loads.push(started);
    return started;
  };
  // A test that fails leaves nothing behind that makes the next one fail.
  afterEach(async () => {
    for (const one of cluster.processes) {
      one.resume();
      one.start();
      await one.ready();
    }
    for (const one of loads.splice(0)) await one.stop();
  });

  /** The replica that owns the lane of the witness: the one with its open events. */
  const owner = async (): Promise<'queue-1' | 'queue-2'> =>
    eventually(async () => {
      for (const name of ['queue-1', 'queue-2'] as const) {
        if (cluster.process(name).isRunning && (await cluster.metric(name, 'evenfall_queue_open')) > 0) return name;
      }
      return undefined;
    }, 30_000);
  const sendAll = async (count: number): Promise<void> => {
    for (let at = 0; at < count; at += 500) {
      const events = Array.from({ length: 500 }, (_, n) => ({ payload: { n: at + n, ms: 0 } }));
      accepted.push(...(await cluster.rest.sendBatch('witness', events)));
    }
  };
  /** Every accepted event has ended, and its history is possible. */
  const settled = async (withinMs: number): Promise<void> => {
    await nothingOpen(cluster.rest, 'witness', withinMs);
    const events = checkHistory(await cluster.rest.list('witness', 'order_by=end_time'), accepted);
    checkRuns(witness, events);
    await eventually(async () => {
      for (const name of ['queue-1', 'queue-2']) {
        assert.equal(await cluster.metric(name, 'evenfall_queue_open'), 0);
        assert.equal(await cluster.metric(name, 'evenfall_queue_balance'), 0);
      }
      return true;
    }, 10_000);
  };

  it(`brings ${EVENTS} events to their end when the replica that has them is killed, and as many when it is the other's turn`, async () => {
    for (let turn = 0; turn < 2; turn++) {
      await sendAll(EVENTS);
      const victim = await owner();
      await cluster.process(victim).kill9();
      await nothingOpen(cluster.rest, 'witness', 120_000);
      cluster.process(victim).start();
      await cluster.process(victim).ready();
    }
    await settled(60_000);
  });

  it('is not changed by a replica that stood still while its partitions went to another', async () => {
    const sending = load(PER_SECOND, 20);
    await eventually(() => sending.accepted.length > PER_SECOND, 20_000);
    const sleeper = await owner();
    const other = sleeper === 'queue-1' ? 'queue-2' : 'queue-1';
    cluster.process(sleeper).pause();
    // Its session is over after ten seconds: the other takes the lane, and events with it.
    await eventually(async () => (await cluster.metric(other, 'evenfall_queue_open')) > 0, 60_000);
    const before = sending.accepted.length;
    await eventually(() => sending.accepted.length > before + PER_SECOND, 30_000);
    cluster.process(sleeper).resume();
    const resumed = sending.accepted.length;
    await eventually(() => sending.accepted.length > resumed + 5 * PER_SECOND, 60_000);
    await sending.stop();
    accepted.push(...sending.accepted);
    await settled(60_000);
  });

  it('refuses events while Kafka is away, with a word of when to come again, and loses nothing of what it took', async () => {
    const sending = load(PER_SECOND, 200);
    await eventually(() => sending.accepted.length > PER_SECOND, 20_000);
    const awayFrom = Date.now();
    await cluster.process('kafka').stop();
    const refused = await eventually(() => {
      const since = sending.refused.filter(({ atMs, tookMs }) => atMs - tookMs > awayFrom + 1_000);
      return since.length > SENT_WHILE_AWAY ? since : undefined;
    }, AWAY_WITHIN_MS);
    for (const { status, retryAfter } of refused) assert.deepEqual([status, retryAfter !== null], [503, true]);
    assert.deepEqual(sending.broken, []);
    cluster.process('kafka').start();
    await cluster.process('kafka').ready();
    const backMs = Date.now();
    await eventually(() => sending.lastAcceptedMs > backMs, 30_000);
    await sending.stop();
    accepted.push(...sending.accepted);
    await settled(90_000);
  });

  it('goes on taking and running while Postgres is away, refuses reads, and shows everything once it is back', async () => {
    const sending = load(PER_SECOND, 20);
    await eventually(() => sending.accepted.length > PER_SECOND, 20_000);
    const ended = async (): Promise<number> =>
      (await cluster.metric('queue-1', 'evenfall_queue_ended_total')) + (await cluster.metric('queue-2', 'evenfall_queue_ended_total'));
    await cluster.process('postgres').kill9();
    const id = sending.accepted[0] ?? '';
    const reading = await eventually(async () => {
      const answer = await cluster.rest.call('GET', `/v1/events/${id}`);
      return answer.status === 503 ? answer : undefined;
    }, 30_000);
    assert.notEqual(reading.headers.get('retry-after'), null);
    const [acceptedBefore, endedBefore] = [sending.accepted.length, await ended()];
    await eventually(() => sending.accepted.length - acceptedBefore > SENT_WHILE_AWAY, AWAY_WITHIN_MS);
    await eventually(async () => (await ended()) - endedBefore > SENT_WHILE_AWAY, AWAY_WITHIN_MS);
    assert.equal((await cluster.rest.call('GET', `/v1/events/${id}`)).status, 503);
    assert.deepEqual([sending.refused.length, sending.broken], [0, []]);
    cluster.process('postgres').start();
    await cluster.process('postgres').ready();
    await sending.stop();
    accepted.push(...sending.accepted);
    await settled(60_000);
    assert.deepEqual(cluster.deaths(), [], 'nothing has ended by itself');
  });

  it('answers for functions that do not exist, as before', async () => {
    assert.equal((await cluster.rest.call('POST', `${FUNCTIONS}/unknown/events`, {})).status, 404);
  });
});
