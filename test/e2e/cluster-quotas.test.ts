// Quotas where every service is a process of its own, and the registry goes away.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { startTestCluster, type TestCluster } from '../support/cluster.ts';
import { exampleZip } from '../support/scf-client.ts';

const F = '/v1/namespaces/default/functions';

describe('Quotas in a cluster of processes', { timeout: 180_000 }, () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await startTestCluster({ agents: 2 });
  });
  after(() => cluster.dispose());
  const create = async (name: string): Promise<number> => {
    const zip = await exampleZip('graceful-killer');
    const settings = { name, runtime: 'python3', handler: 'index.main_handler', code_zip: zip, timeout: '600s' };
    return (await cluster.rest.call('POST', F, settings)).status;
  };
  const put = (limits: object) => cluster.rest.call('PUT', '/v1/namespaces/default/quota', limits);
  const post = async (): Promise<number> => (await cluster.rest.call('POST', `${F}/f0/events`, {})).status;
  const instances = async (): Promise<number> =>
    (await cluster.rest.call<{ instances: readonly unknown[] }>('GET', '/v1/instances')).body.instances.length;

  it('are exact for functions that are made at once', async () => {
    assert.equal((await put({ functions: 3 })).status, 200);
    const statuses = await Promise.all(Array.from({ length: 12 }, (_, n) => create(`f${n}`)));
    assert.equal(statuses.filter((status) => status === 201).length, 3);
    assert.equal(statuses.filter((status) => status === 429).length, 9);
  });

  it('hold for instances of all agents and for what waits in all queues, also after the registry was away', async () => {
    await put({ instances: 2, queued_events: 3, functions: 20 });
    await create('f0');
    await eventually(async () => {
      while ((await post()) === 202);
      const { body } = await cluster.rest.call('GET', `${F}/f0/events:count`);
      return /"QUEUED","count":3.*"RUNNING","count":2/.test(JSON.stringify(body));
    }, 30_000);
    assert.equal(await instances(), 2);
    const registry = cluster.process('registry');
    await registry.kill9();
    try {
      const refused = await cluster.rest.call('POST', `${F}/f0/events`, {});
      // The function is cached only while the watch of functions is connected.
      assert.ok(refused.status === 429 || refused.status === 503, JSON.stringify(refused.body));
    } finally {
      registry.start();
      await registry.ready();
    }
    await eventually(async () => (await post()) === 429, 20_000);
    // One whose event has just ended may be replaced.
    await eventually(async () => (await instances()) === 2, 20_000);
    await put({ instances: 4 });
    await eventually(async () => {
      await post();
      return (await instances()) === 4;
    }, 30_000);
  });
});
