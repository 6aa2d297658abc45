// Processes of a cluster are paused and killed, one after another, for EVENFALL_CHAOS_SECONDS, 40 by default. The order is random;
// EVENFALL_CHAOS_SEED makes it again; EVENFALL_CHAOS_LOG=embedded takes the log in Postgres. Meanwhile functions say much, and are deployed anew.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '@evenfall/testkit';
import { whyNoKafka } from '@evenfall/testkit/kafka';
import { startTestCluster, type TestCluster } from '../support/cluster.ts';
import { checkHistory, checkRuns, nothingOpen } from '../support/invariants.ts';
import { deployLarge, startLargeLoad } from '../support/large-load.ts';
import { startLoad } from '../support/load.ts';
import { checkProbed, startProber } from '../support/prober.ts';
import { randomOf } from '../support/random.ts';
import { openWitness, type Witness, WITNESS, WITNESSED } from '../support/witness.ts';

const SECONDS = Number(process.env['EVENFALL_CHAOS_SECONDS'] ?? 40);
const SEED = Number(process.env['EVENFALL_CHAOS_SEED'] ?? Math.floor(Math.random() * 1e9));
const LOG = process.env['EVENFALL_CHAOS_LOG'] === 'embedded' ? 'embedded' : 'kafka';
const QUEUES = LOG === 'kafka' ? ['queue-1', 'queue-2'] : ['queue-1'];
const OTHERS = ['event-store', 'scheduler', 'agent-1', 'agent-2', 'postgres', 'registry', 'gateway'];
const VICTIMS = [...QUEUES, ...(LOG === 'kafka' ? ['kafka'] : []), ...OTHERS];
const SAY_EVERY_MS = 10_000;
/** One fault in so many is followed by a new revision of a function. */
const REDEPLOY_EVERY = 3;
const LEASE = '5s';

const why = LOG === 'kafka' ? whyNoKafka() : undefined;
if (why !== undefined && process.env['CI']) throw new Error(`The cluster cannot be tested: ${why}.`);

describe('A cluster in which anything may go away', { timeout: (SECONDS + 400) * 1_000, skip: why !== undefined }, () => {
  let witness: Witness;
  let cluster: TestCluster;
  before(async () => {
    witness = await openWitness();
    cluster = await startTestCluster({
      log: LOG,
      queues: QUEUES.length,
      agents: 2,
      env: { ...WITNESSED, EVENFALL_LEASE: LEASE, EVENFALL_LOG_LEVEL: 'info' },
    });
    await cluster.rest.deploy(witness.fn(), { 'index.js': WITNESS });
    await deployLarge(cluster.rest);
  });
  const redeploy = async (fn: string, n: number): Promise<boolean> => {
    const { environment } = fn === 'witness' ? witness.fn() : { environment: {} };
    const path = `/v1/namespaces/default/functions/${fn}`;
    const answer = await cluster.rest.call('PATCH', path, { environment: { ...environment, REVISION: String(n) } }).catch(() => undefined);
    return answer?.status === 200; // the API may be unavailable
  };
  const takeovers = (): number => cluster.lines().filter((line) => line.includes('took partitions over')).length;
  after(async () => {
    await cluster.dispose();
    witness.close();
  });

  it(`ends every event it took, none twice (EVENFALL_CHAOS_SEED=${SEED})`, async () => {
    const random = randomOf(SEED);
    const seen: string[] = [];
    const load = startLoad(cluster.rest, 'witness', 40, { ms: 100 });
    const large = startLargeLoad(cluster.rest, randomOf(SEED + 1)); // the order of the faults is made by another
    const prober = startProber(cluster.rest, load);
    const beganMs = performance.now();
    let redeploys = 0;
    const counts = (): string =>
      `${load.accepted.length} events and ${large.accepted.length} large ones, ${load.refused.length + large.refused.length} refused, ${seen.length} faults, ${redeploys} redeploys, ${takeovers()} takeovers`;
    const printing = setInterval(() => {
      process.stdout.write(`# ${Math.round((performance.now() - beganMs) / 1_000)} s of ${SECONDS}: ${counts()}\n`);
    }, SAY_EVERY_MS);
    let attempts = 0;
    try {
      for (const until = performance.now() + SECONDS * 1_000; performance.now() < until;) {
        const victim = cluster.process(VICTIMS[Math.floor(random() * VICTIMS.length)] ?? 'queue-1');
        const isPaused = random() < 0.5;
        const forMs = isPaused ? 1_000 + random() * 13_000 : random() * 4_000;
        seen.push(`${new Date().toISOString()} ${isPaused ? 'pause' : 'kill -9'} ${victim.name} for ${Math.round(forMs)} ms`);
        if (isPaused) victim.pause();
        else await victim.kill9();
        await sleep(forMs);
        if (isPaused) victim.resume();
        for (const each of cluster.processes) each.start();
        await Promise.all(cluster.processes.map((each) => each.ready()));
        if (seen.length % REDEPLOY_EVERY === 0 && (await redeploy(random() < 0.5 ? 'witness' : 'large', seen.length))) redeploys++;
        await sleep(500 + random() * 1_500);
      }
      await Promise.all([load.stop(), large.stop()]);
      await prober.stop();
      for (const fn of ['witness', 'large']) await nothingOpen(cluster.rest, fn, 120_000);
      const allLarge = await cluster.rest.list('large', 'order_by=end_time');
      checkHistory(allLarge, large.accepted, ['SUCCEEDED', 'FAILED']);
      const accepted = new Set(load.accepted);
      const all = await cluster.rest.list('witness', 'order_by=end_time');
      // A call that broke may have been taken all the same: it is there, and its caller has no id.
      const events = checkHistory(all, [...accepted], ['SUCCEEDED', 'TERMINATED']);
      attempts = [...all, ...allLarge].reduce((sum, event) => sum + event.attempts.length, 0);
      checkRuns(witness, events);
      checkProbed(prober, events, witness.runs());
      assert.ok(all.length - accepted.size <= load.broken.length + load.refused.length, `${all.length} of ${accepted.size}`);
      await eventually(async () => {
        for (const name of QUEUES) assert.equal(await cluster.metric(name, 'evenfall_queue_balance'), 0, name);
        return true;
      }, 10_000);
    } catch (error) {
      const log = join(tmpdir(), `evenfall-chaos-${SEED}.log`);
      writeFileSync(log, cluster.lines().join('\n'));
      const last = cluster.lines().slice(-40).join('\n'); // the file may be out of reach, as in CI
      throw new Error(`EVENFALL_CHAOS_SEED=${SEED}, all logs in ${log}\n${seen.join('\n')}\n${last}`, { cause: error });
    } finally {
      clearInterval(printing);
      await Promise.all([load.stop(), large.stop(), prober.stop()]);
    }
    process.stdout.write(`# ${counts()}, ${attempts} attempts, ${prober.terminated.size} ended by force\n`);
  });
});
