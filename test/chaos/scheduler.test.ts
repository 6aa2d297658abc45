// A scheduler forgets everything when it dies. What it had given to its agents must not be given to others by the next one.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '@evenfall/testkit';
import { startTestCluster, type TestCluster } from '../support/cluster.ts';
import { checkHistory, checkRuns, nothingOpen } from '../support/invariants.ts';
import { openWitness, type Witness, WITNESS, WITNESSED } from '../support/witness.ts';

const LEASE_MS = 20_000;
const EVENTS = 4_000;
/** So many have run when something happens: agents are busy, and much is on its way to them. */
const RUN = 500;

describe('A scheduler that is killed', { timeout: 180_000 }, () => {
  let witness: Witness;
  const accepted: string[] = [];
  let cluster: TestCluster;
  before(async () => {
    witness = await openWitness();
    cluster = await startTestCluster({ agents: 2, env: { ...WITNESSED, EVENFALL_LEASE: `${LEASE_MS}ms` } });
    await cluster.rest.deploy(witness.fn(), { 'index.js': WITNESS });
  });
  after(async () => {
    await cluster.dispose();
    witness.close();
  });

  const held = (): Promise<number> => cluster.metric('scheduler', 'evenfall_scheduler_attempts_held');
  const underWay = async (): Promise<void> => {
    const before = witness.runs().size;
    for (let at = 0; at < EVENTS; at += 500)
      accepted.push(...(await cluster.rest.sendBatch('witness', Array(500).fill({ payload: { ms: 0 } }))));
    await eventually(() => witness.runs().size > before + RUN, 60_000);
  };
  const settled = async (): Promise<void> => {
    await nothingOpen(cluster.rest, 'witness', 60_000);
    checkRuns(witness, checkHistory(await cluster.rest.list('witness', 'order_by=end_time'), accepted));
  };

  it('is replaced by one that waits for the agent that comes back last', async () => {
    const scheduler = cluster.process('scheduler');
    const late = cluster.process('agent-2');
    await sleep(LEASE_MS); // only then it is sure that it knows of all agents
    await underWay();
    await scheduler.kill9();
    late.pause(); // it has run its attempts, and reported nothing
    const startedMs = performance.now();
    scheduler.start();
    await scheduler.ready();
    await eventually(async () => (await held()) > 0, LEASE_MS);
    late.resume();
    await eventually(async () => (await held()) === 0, LEASE_MS);
    assert.ok(performance.now() - startedMs < LEASE_MS, 'no lease was waited for');
    await settled();
  });

  it('that dies together with the queue, too: what the agents have is theirs', async () => {
    const both = ['scheduler', 'queue-1'].map((name) => cluster.process(name));
    await underWay();
    await Promise.all(both.map((each) => each.kill9()));
    for (const each of both) each.start();
    await Promise.all(both.map((each) => each.ready()));
    await settled();
  });
});
