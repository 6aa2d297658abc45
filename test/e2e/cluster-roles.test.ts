// Access keys where the registry is a process of its own, and goes away.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { grpcClient } from '@evenfall/rpc';
import { eventually, patient } from '@evenfall/testkit';
import { startTestCluster, type TestCluster } from '../support/cluster.ts';
import { createRestClient } from '../support/rest-client.ts';
import { scfClient } from '../support/scf-client.ts';
import { zipOf } from '../support/zip.ts';

const F = '/v1/namespaces/default/functions';
type NewKey = { readonly access_key: { readonly id: string }; readonly secret: string };
type Records = { readonly audit_records: readonly { readonly operation: string; readonly outcome: string }[] };

describe('Keys in a cluster of processes', { timeout: 180_000 }, () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await startTestCluster({ agents: 1 });
  });
  after(() => cluster.dispose());
  const create = async (id: string, more: object = {}): Promise<string> => {
    const { body } = await cluster.rest.call<NewKey>('POST', '/v1/access-keys', { id, role: 'VIEWER', namespaces: ['default'], ...more });
    return `${id}:${body.secret}`;
  };
  const asked = (key: string) => createRestClient(cluster.http, { authorization: `Bearer ${key}` }).call('GET', '/v1/events/x');

  it('stay good while the registry is away; others may come again, and those of the settings always work', async () => {
    const known = await create('known');
    const signing = await create('signing', { role: 'INVOKER', scf: true });
    await eventually(async () => (await asked(known)).status === 404);
    const registry = cluster.process('registry');
    await registry.kill9();
    try {
      assert.equal((await asked(known)).status, 404, 'it is let in, and there is no such event');
      assert.equal((await asked(`${known}x`)).status, 401);
      assert.equal((await asked(cluster.accessKey)).status, 404);
      const unknown = await eventually(async () => {
        const answer = await asked('unknown:a-secret-without-a-key');
        return answer.status === 503 && answer;
      });
      assert.match(JSON.stringify(unknown.body), /SERVICE_UNAVAILABLE/);
      assert.ok(unknown.headers.get('retry-after'));
      const refused = scfClient({ http: cluster.http, accessKey: signing }).DeleteFunction({ FunctionName: 'x' });
      await assert.rejects(refused, { code: 'UnauthorizedOperation' });
      const stranger = scfClient({ http: cluster.http, accessKey: 'unknown:a-secret-without-a-key' }).GetAccount();
      await assert.rejects(stranger, { code: 'InternalError.System' });
    } finally {
      registry.start();
      await registry.ready();
    }
    await eventually(async () => (await asked('unknown:a-secret-without-a-key')).status === 401, 20_000);
    // What was refused meanwhile is in the audit log once there is one again.
    await eventually(async () => {
      const { body } = await cluster.rest.call<Records>('GET', '/v1/audit-records?key_id=signing');
      return body.audit_records.some(({ operation, outcome }) => operation === 'DeleteFunction' && outcome === 'ROLE_FORBIDS');
    }, 20_000);
  });

  it('change no code by a stream that ends after they did', async () => {
    const zip = async (text: string) => zipOf({ 'index.js': `exports.handler = async () => ${JSON.stringify(text)};` });
    const settings = { name: 'streamed', runtime: 'nodejs', handler: 'index.handler', code_zip: (await zip('first')).toString('base64') };
    assert.equal((await cluster.rest.call('POST', F, settings)).status, 201);
    const key = await create('leaving', { role: 'DEPLOYER' });
    await eventually(async () => (await asked(key)).status === 404);
    const { client, close } = grpcClient(FunctionServiceService, cluster.grpc, { headers: { authorization: `Bearer ${key}` } });
    const chunk = await zip('second');
    async function* pieces() {
      yield { namespace: 'default', name: 'streamed', chunk };
      await cluster.rest.call('POST', '/v1/access-keys/leaving:revoke');
      await eventually(async () => (await asked(key)).status === 401);
    }
    await assert.rejects(client.streamUpdateFunctionCode(pieces()), { reason: 'UNAUTHENTICATED' });
    close();
    const { body } = await cluster.rest.call<{ readonly revision: number }>('GET', `${F}/streamed`);
    assert.equal(body.revision, 1);
  });

  it('end at the gateway within a second of their end in the registry', async () => {
    const key = await create('short');
    await eventually(async () => (await asked(key)).status === 404);
    await cluster.rest.call('POST', '/v1/access-keys/short:revoke');
    const revokedMs = performance.now();
    await eventually(async () => (await asked(key)).status === 401);
    assert.ok(performance.now() - revokedMs < patient(1_000));
    assert.equal((await cluster.rest.call('GET', F)).status, 200);
  });
});
