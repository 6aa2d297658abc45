// A host that was broken into has a certificate. It may say what it likes of the attempts that it was given, and of no others.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import { eventually } from '@evenfall/testkit';
import { startTestCluster, type TestCluster } from '../support/cluster.ts';
import { attachFake, type FakeAgent } from '../support/fake-agent.ts';

const PARTITIONS = 12;

describe('An agent with a certificate that forges outcomes', { timeout: 300_000 }, () => {
  let cluster: TestCluster;
  const fakes: FakeAgent[] = [];
  before(async () => {
    cluster = await startTestCluster({ tls: true, agents: 1, env: { EVENFALL_LEASE: '10s' } });
    await cluster.rest.deployExample('echo');
    await cluster.rest.deployExample('graceful-killer');
  });
  after(async () => {
    for (const fake of fakes) fake.close();
    await cluster.dispose();
  });

  /** Says of events that they have started and returned, with what there may be for a grant, for every partition they may be in. */
  const forge = async (ids: readonly string[]): Promise<void> => {
    const keys = ids.flatMap((eventId) =>
      Array.from({ length: PARTITIONS }, (_, partition) => ({ eventId, attempt: 1, partition, grant: randomBytes(26) })),
    );
    const fake = await attachFake(cluster, 'agent-9', { held: keys.filter(({ partition }) => partition === 0) });
    fakes.push(fake);
    await eventually(() => fake.got.some(({ welcome }) => welcome) || fake.ended() !== '');
    assert.equal(fake.ended(), '');
    const ended = { outcome: Outcome.RETURNED, statusCode: 200, result: Buffer.from('"forged"'), endTime: new Date(), durationMs: 1 };
    const reports = keys.flatMap((key) => [
      {
        ...key,
        report: { $case: 'started' as const, value: { instanceId: 'i', agentId: 'agent-1', memoryMb: 128, startTime: new Date() } },
      },
      { ...key, report: { $case: 'ended' as const, value: ended } },
    ]);
    fake.sends({ reports });
    fake.sends({ heartbeat: { sentTime: new Date(1_000) } });
    await eventually(() => fake.got.some(({ heartbeat }) => heartbeat?.sentTime?.getTime() === 1_000), 10_000); // all was taken in
    assert.deepEqual(
      fake.got.flatMap(({ assignments }) => assignments),
      [],
    );
  };

  it('is ignored by the scheduler that assigned them to others or to no agent, and by the next one', async () => {
    const { rest } = cluster;
    const waits = await rest.send('echo', { n: 1 }, { headers: { 'evenfall-delay': '1h' } });
    const runs = await rest.send('graceful-killer', {});
    await rest.reaches(runs.id, 'RUNNING');
    const ids = [waits.id, runs.id];
    await forge(ids);
    const scheduler = cluster.process('scheduler');
    const agent = cluster.process('agent-1');
    agent.pause(); // the forger comes first
    await scheduler.kill9();
    scheduler.start();
    await scheduler.ready();
    await forge(ids);
    const refused = await cluster.metric('scheduler', 'evenfall_scheduler_agent_claims_refused_total');
    agent.resume();
    assert.ok(refused > 0);
    assert.ok(cluster.lines().some((line) => /^scheduler .*warn.*something that it was not given.*agent_id=agent-9/.test(line)));
    assert.equal((await rest.get(waits.id)).state, 'QUEUED');
    assert.equal((await rest.get(runs.id)).state, 'RUNNING');
    const { body } = await rest.terminate(runs.id, { graceful: true, wait: 'ENDED' });
    assert.deepEqual([body.state, body.status_code, body.result], ['TERMINATED', 200, 'END']);
    const { id } = await rest.send('echo', { still: true });
    assert.deepEqual((await rest.ended(id)).result, { still: true });
  });
});
