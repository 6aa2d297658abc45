// A host that was broken into has a certificate. It reads the code that it was to run, writes the lines of what it ran, and no others.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { EventStoreServiceService, type LogGrant } from '@evenfall/contracts/event_store/v1/event_store_service';
import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { LogLine_Stream as Stream } from '@evenfall/contracts/v1/log_service';
import { isRefusal } from '@evenfall/errors';
import type { Peer } from '@evenfall/rpc';
import { eventually } from '@evenfall/testkit';
import { certifiedPeer } from '../support/certified-peer.ts';
import { startTestCluster, type TestCluster } from '../support/cluster.ts';
import { attachFake, type FakeAgent } from '../support/fake-agent.ts';

const CODE = 'def main(event, context):\n    print("of the function")\n    return event\n';
const PARTITIONS = 12;

describe('An agent with a certificate that asks for code, and writes lines, of what it was not given', { timeout: 300_000 }, () => {
  let cluster: TestCluster;
  let registry: Peer;
  let eventStore: Peer;
  let fake: FakeAgent;
  /** Of others: the digest of a package, an event that ran and a call. */
  let theirs: { digest: string; event: string; call: string };
  before(async () => {
    cluster = await startTestCluster({ tls: true, agents: 1 });
    const fn = { runtime: 'python3', handler: 'index.main' };
    await cluster.rest.deploy({ name: 'theirs', ...fn }, { 'index.py': CODE });
    await cluster.rest.deploy({ name: 'mine', ...fn }, { 'index.py': `${CODE}# mine\n` });
    const { id: event } = await cluster.rest.send('theirs', 1);
    await cluster.rest.ended(event);
    const called = await cluster.rest.call<{ event_id: string }>('POST', '/v1/namespaces/default/functions/theirs:invoke', 1);
    const { body } = await cluster.rest.call<{ code_sha256: string }>('GET', '/v1/namespaces/default/functions/theirs');
    theirs = { digest: body.code_sha256, event, call: called.body.event_id };
    assert.match(theirs.digest, /^[0-9a-f]{64}$/);
    registry = await certifiedPeer(cluster, 'agent/agent-9', 'registry');
    eventStore = await certifiedPeer(cluster, 'agent/agent-9', 'event-store');
  });
  after(async () => {
    fake?.close();
    registry?.close();
    eventStore?.close();
    await cluster.dispose();
  });

  const fetchCode = async (codeSha256: string, of: { agentId?: string; instanceId?: string; grant?: Buffer }): Promise<number | string> => {
    let bytes = 0;
    try {
      const request = { codeSha256, agentId: 'agent-9', instanceId: 'i', grant: Buffer.alloc(0), ...of };
      for await (const { data } of registry.client(RegistryServiceService).getCodePackage(request)) bytes += data.length;
      return bytes;
    } catch (error) {
      return isRefusal(error) ? error.reason : String(error);
    }
  };
  /** Writes a line of an event; answers whether it was refused. */
  const write = async (eventId: string, attempt: number, grants: LogGrant[], agentId = 'agent-9'): Promise<number | string> => {
    const line = { time: new Date(), stream: Stream.STDOUT, attempt, instanceId: 'i', text: 'forged' };
    const lines = [{ eventId, sequence: 9_000, line }];
    try {
      return (await eventStore.client(EventStoreServiceService).appendLogLines({ agentId, grants, lines })).refusedCount;
    } catch (error) {
      return isRefusal(error) ? error.reason : String(error);
    }
  };
  const textsOf = async (id: string): Promise<string[]> => (await cluster.rest.logs(id)).map(({ text }) => text);
  const grantsOf = (eventId: string, grant: Buffer): LogGrant[] => [
    { eventId, attempt: 1, partition: undefined, codeSha256: undefined, grant },
    { eventId, attempt: 1, partition: undefined, codeSha256: theirs.digest, grant },
    ...Array.from({ length: PARTITIONS }, (_, partition) => ({ eventId, attempt: 1, partition, codeSha256: undefined, grant })),
  ];

  it('gets nothing, and writes nothing, before it was given anything', async () => {
    for (const grant of [Buffer.alloc(0), randomBytes(26)]) {
      assert.equal(await fetchCode(theirs.digest, { grant }), 'NOT_GRANTED');
      for (const id of [theirs.event, theirs.call]) assert.equal(await write(id, 1, grantsOf(id, grant)), 1);
    }
    assert.equal(await fetchCode(theirs.digest, { agentId: 'agent-1' }), 'CALLER_NOT_ALLOWED');
    assert.equal(await write(theirs.event, 1, [], 'agent-1'), 'CALLER_NOT_ALLOWED');
    for (const id of [theirs.event, theirs.call]) assert.ok(!(await textsOf(id)).includes('forged'));
    assert.ok((await cluster.metric('event-store', 'evenfall_event_store_log_lines_refused_total')) > 0);
    assert.ok(cluster.lines().some((line) => /^event-store .*warn.*log lines that it may not store.*agent_id=agent-9/.test(line)));
  });

  it('gets its own, and nothing more with the grants of that', async () => {
    assert.ok((await textsOf(theirs.event)).includes('of the function'), 'an honest agent wrote');
    await cluster.process('agent-1').stop();
    fake = await attachFake(cluster, 'agent-9', { capacityMb: 1_024 });
    const { id } = await cluster.rest.send('mine', 1);
    await eventually(() => fake.got.some(({ startInstances }) => startInstances.length > 0), 40_000);
    const start = fake.got.flatMap(({ startInstances }) => startInstances)[0];
    assert.ok(start?.function && start.packageGrant && start.grant);
    const { instanceId, packageGrant: grant } = start;
    assert.ok(Number(await fetchCode(start.function.codeSha256, { instanceId, grant })) > 0);
    for (const shown of [grant, start.grant]) {
      assert.equal(await fetchCode(theirs.digest, { instanceId, grant: shown }), 'NOT_GRANTED');
      assert.equal(await fetchCode(theirs.digest, { instanceId: theirs.event, grant: shown }), 'NOT_GRANTED');
    }
    fake.sends({ instanceChanges: [{ instanceId, change: { $case: 'ready', value: { startMs: 1 } } }] });
    const assigned = () =>
      fake.got.flatMap(({ assignments }) => assignments).find(({ assignment }) => assignment?.eventId === id)?.assignment;
    await eventually(() => assigned() !== undefined);
    const { partition, grant: own = Buffer.alloc(0) } = assigned() ?? {};
    const started = { instanceId, agentId: 'agent-9', memoryMb: 128, startTime: new Date() };
    fake.sends({ reports: [{ eventId: id, attempt: 1, partition, grant: own, report: { $case: 'started', value: started } }] });
    await cluster.rest.reaches(id, 'RUNNING');
    assert.equal(await write(id, 1, [{ eventId: id, attempt: 1, partition, codeSha256: undefined, grant: own }]), 0);
    await eventually(async () => (await textsOf(id)).includes('forged'));
    for (const shown of [own, grant, start.grant])
      for (const other of [theirs.event, theirs.call]) {
        assert.equal(await write(other, 1, grantsOf(other, shown)), 1);
        assert.equal(await write(other, 1, [{ eventId: id, attempt: 1, partition, codeSha256: undefined, grant: own }]), 1);
        assert.ok(!(await textsOf(other)).includes('forged'));
      }
    assert.equal(await write(id, 2, [{ eventId: id, attempt: 1, partition, codeSha256: undefined, grant: own }]), 1, 'another attempt');
  });
});
