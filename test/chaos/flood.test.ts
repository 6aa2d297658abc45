// One function that is asked for far more than it can do: the others do not notice, and what waits is not in memory.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { whyNoKafka } from '@evenfall/testkit/kafka';
import { startTestCluster, type TestCluster } from '../support/cluster.ts';
import { residentMb } from '../support/processes.ts';

const LIMIT = 100_000;
const BATCH = 1_000;
/** What a queue replica may have: the runtime, what it keeps of lanes (50,000 events, 64 MiB of payloads), and room to breathe. */
const MOST_MB = 700;
const SLOW = 'exports.handler = async () => { await new Promise((resolve) => setTimeout(resolve, 600_000)); };\n';

const why = whyNoKafka();
if (why !== undefined && process.env['CI']) throw new Error(`The cluster cannot be tested: ${why}.`);

describe('A lane with 100,000 events', { timeout: 300_000, skip: why !== undefined }, () => {
  let cluster: TestCluster;
  let ids: string[] = [];
  before(async () => {
    // One instance of it fits on the only host, and some of others beside it.
    cluster = await startTestCluster({ log: 'kafka', queues: 2, agents: 1, envOf: { 'agent-1': { EVENFALL_AGENT_CAPACITY_MB: '1024' } } });
    const fn = { name: 'flood', runtime: 'nodejs', handler: 'index.handler', timeout: '900s', memory_mb: 640 };
    await cluster.rest.deploy(fn, { 'index.js': SLOW });
    await cluster.rest.deployExample('echo');
  });
  after(() => cluster.dispose());

  const REPLICAS = ['queue-1', 'queue-2'] as const;
  const sum = async (name: string): Promise<number> => {
    const values = await Promise.all(REPLICAS.filter((one) => cluster.process(one).isRunning).map((one) => cluster.metric(one, name)));
    return values.reduce((a, b) => a + b, 0);
  };

  it('takes so many, and refuses the next with LANE_FULL and a word of when to come again', async () => {
    ids = [await cluster.rest.send('flood', 0)].map(({ id }) => id);
    await cluster.rest.reaches(ids[0] ?? '', 'RUNNING', 30_000); // one that has started waits no more
    for (let at = 0; at < LIMIT; at += BATCH) {
      const events = Array.from({ length: BATCH }, (_, n) => ({ payload: { n: at + n, text: 'x'.repeat(200) } }));
      ids.push(...(await cluster.rest.sendBatch('flood', events)));
    }
    await eventually(async () => (await sum('evenfall_queue_waiting')) === LIMIT, 30_000);
    const { status, headers, body } = await cluster.rest.call<{ error: { details: { reason: string }[] } }>(
      'POST',
      '/v1/namespaces/default/functions/flood/events',
      {},
    );
    assert.deepEqual([status, body.error.details[0]?.reason, headers.has('retry-after')], [429, 'LANE_FULL', true]);
  });

  it('is kept out of memory but for what may go next', async () => {
    assert.ok((await sum('evenfall_queue_parked')) >= LIMIT - 50_000);
    for (const name of REPLICAS) {
      const mb = residentMb(cluster.process(name).pid);
      assert.ok(mb < MOST_MB, `${name} has ${mb} MB`);
    }
  });

  it('is not noticed by another function, whose events end as ever', async () => {
    for (let n = 0; n < 30; n++) {
      const { id } = await cluster.rest.send('echo', n);
      assert.equal((await cluster.rest.ended(id, 5_000)).state, 'SUCCEEDED');
    }
  });

  it('loses an event that is terminated where it is parked, and nothing else', async () => {
    const last = ids.at(-1) ?? '';
    assert.equal((await cluster.rest.terminate(last)).status, 200);
    assert.equal((await cluster.rest.get(last)).state, 'TERMINATED');
    assert.equal(await sum('evenfall_queue_waiting'), LIMIT - 1);
  });

  it('moves to another replica as it is, and stays out of its memory', async () => {
    const owner = (await cluster.metric('queue-1', 'evenfall_queue_parked')) > 0 ? 'queue-1' : 'queue-2';
    await cluster.process(owner).kill9();
    await eventually(async () => (await sum('evenfall_queue_waiting')) === LIMIT - 1, 60_000);
    assert.ok((await sum('evenfall_queue_parked')) >= LIMIT - 50_000);
    const heir = owner === 'queue-1' ? 'queue-2' : 'queue-1';
    const mb = residentMb(cluster.process(heir).pid);
    assert.ok(mb < MOST_MB, `${heir} has ${mb} MB`);
    const first = await cluster.rest.get(ids[0] ?? '');
    assert.equal(first.state, 'RUNNING', `what ran goes on: ${JSON.stringify(first)} ${cluster.lines().slice(-10).join('\n')}`);
    assert.equal(await sum('evenfall_queue_balance'), 0);
  });
});
