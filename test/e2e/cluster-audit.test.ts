// The audit log where services are processes of their own, and are killed.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { startTestCluster, type TestCluster } from '../support/cluster.ts';
import { createRestClient } from '../support/rest-client.ts';

type RecordJson = Readonly<Record<'id' | 'operation' | 'namespace' | 'subject' | 'outcome' | 'key_id' | 'address' | 'api', string>>;

describe('The audit log of a cluster', { timeout: 240_000 }, () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await startTestCluster({ agents: 1 });
    await cluster.rest.deployExample('graceful-killer');
  });
  after(() => cluster.dispose());
  const rest = () => createRestClient(cluster.process('gateway').addresses['http'] ?? '', cluster.headers);
  const find = async (filter: string): Promise<readonly RecordJson[]> => {
    const { status, body } = await rest().call<{ audit_records: RecordJson[] }>('GET', `/v1/audit-records?page_size=100&${filter}`);
    return status === 200 ? body.audit_records : [];
  };
  const running = async (): Promise<string> => {
    const { id } = await cluster.rest.send('graceful-killer', {});
    await cluster.rest.reaches(id, 'RUNNING');
    return id;
  };

  it('has a termination once, though the registry was away and the gateway and the event-store died', async () => {
    const id = await running();
    const [registry, gateway, eventStore] = ['registry', 'gateway', 'event-store'].map((name) => cluster.process(name));
    assert.ok(registry && gateway && eventStore);
    await registry.kill9();
    assert.equal((await cluster.rest.terminate(id, { graceful: false })).status, 200, 'nothing of it waits for the audit log');
    for (const one of [gateway, eventStore]) await one.kill9();
    for (const one of [registry, eventStore, gateway]) one.start();
    await Promise.all([registry, eventStore, gateway].map((one) => one.ready()));
    const records = await eventually(async () => {
      const found = await find(`subject=${id}`);
      return found.length > 0 && found;
    }, 30_000);
    const output = records.map((one) => [one.operation, one.namespace, one.outcome, one.address, one.api]);
    assert.deepEqual(output, [['terminateEvent', 'default', 'OK', '127.0.0.1', 'REST']]);
    assert.equal((await rest().terminate(id)).status, 400);
    const refused = await eventually(async () => {
      const found = await find(`subject=${id}`);
      return found.length === 2 && found;
    }, 10_000);
    assert.deepEqual(new Set(refused.map(({ outcome }) => outcome)), new Set(['OK', 'EVENT_ENDED']));
  });

  it('says that the outcome of a change is unknown whose gateway was killed in the middle of it', async () => {
    const [scheduler, gateway] = [cluster.process('scheduler'), cluster.process('gateway')];
    scheduler.pause(); // the change waits on its way
    try {
      const lost = rest()
        .call('POST', '/v1/agents/agent-1:drain', {})
        .then(() => 'answered', () => 'lost'); // prettier-ignore
      await eventually(async () => (await find('action=platform.operate')).length > 0, 20_000);
      await gateway.kill9();
      assert.equal(await lost, 'lost');
    } finally {
      scheduler.resume();
    }
    gateway.start();
    await gateway.ready();
    const [record, ...more] = await eventually(async () => {
      const found = await find('action=platform.operate');
      return found.length > 0 && found;
    }, 20_000);
    assert.deepEqual([record?.operation, record?.subject, record?.outcome, more.length], ['drainAgent', 'agent-1', 'BEGUN', 0]);
    await eventually(async () => (await rest().call('POST', '/v1/agents/agent-1:drain', {})).status === 200, 20_000);
    const after = await find('action=platform.operate');
    assert.ok(after.some(({ id, outcome }) => id === record?.id && outcome === 'BEGUN'));
    assert.ok(
      after.some(({ id, outcome }) => id !== record?.id && outcome === 'OK'),
      'another call has a record of its own',
    );
  });
});
