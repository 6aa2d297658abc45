// Tokens of an issuer at a platform as a user starts it.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { AUDIENCE, type Issuer, newKey, type SigningKey, signToken, startIssuer } from '../../services/gateway/src/testing/issuer.ts';
import { eventually } from '@evenfall/testkit';
import { runCli } from '../support/cli.ts';
import { createRestClient } from '../support/rest-client.ts';
import { type Stack, startStack } from '../support/stack.ts';

const example = (name: string): string => fileURLToPath(new URL(`../../examples/functions/${name}`, import.meta.url));
type Records = { readonly audit_records: readonly { readonly key_id: string; readonly operation: string; readonly outcome: string }[] };

describe('a platform with an issuer', { timeout: 120_000 }, () => {
  let stack: Stack;
  let issuer: Issuer;
  let key: SigningKey;
  /** Another issuer, which is away at first. */
  let pipelines: Issuer;
  before(async () => {
    key = await newKey('first', 'ES256');
    issuer = await startIssuer(key);
    pipelines = await startIssuer(key);
    pipelines.isDown = true;
    const listed = { name: 'ci', issuer: pipelines.url, audience: 'pipelines', claim: 'repository', roles: ['org/shop=deployer@default'] };
    stack = await startStack({
      env: {
        EVENFALL_OIDC_ISSUER: issuer.url,
        EVENFALL_OIDC_AUDIENCE: AUDIENCE,
        EVENFALL_OIDC_CLAIM: 'realm_access.roles',
        EVENFALL_OIDC_ROLES: 'platform=admin@*,devs=deployer@default,apps=invoker@default',
        EVENFALL_OIDC_ISSUERS: JSON.stringify([listed]),
      },
    });
  });
  after(async () => {
    await stack.dispose();
    await issuer.stop();
    await pipelines.stop();
  });
  const tokenOf = (role: string, more = {}) => signToken(issuer, key, { sub: `one of ${role}`, realm_access: { roles: [role] }, ...more });
  const cliAs = async (role: string, ...args: string[]) => runCli({ http: stack.http, accessKey: await tokenOf(role) }, args);

  it('has people deploy and call by their tokens, and stops them where their role does', async () => {
    const deployed = await cliAs('devs', 'deploy', example('echo'));
    assert.equal(deployed.code, 0, deployed.stderr);
    assert.match((await cliAs('devs', 'invoke', 'echo')).stderr, /no right to functions\.invoke/);
    assert.match((await cliAs('apps', 'invoke', 'echo', '--payload', '{"n":1}')).stdout, /"n":\s*1/);
    assert.match((await cliAs('stranger', 'functions', 'list')).stderr, /no value of its claim "realm_access\.roles"/);
    const refused = await runCli({ http: stack.http, accessKey: await tokenOf('apps', { aud: 'others' }) }, ['invoke', 'echo']);
    assert.match(refused.stderr, /claim "aud" of the token/);
  });

  it('lets a token with several roles do what each of them allows', async () => {
    const both = await tokenOf('devs', { realm_access: { roles: ['apps', 'devs'] } });
    const cli = (...args: string[]) => runCli({ http: stack.http, accessKey: both }, args);
    assert.equal((await cli('deploy', example('sleeps'))).code, 0);
    assert.match((await cli('invoke', 'echo', '--payload', '{"n":2}')).stdout, /"n":\s*2/);
    assert.match((await cli('keys', 'list')).stderr, /with the role deployer, invoker, has no right to keys\.read/);
  });

  it('takes tokens of several issuers, of which one that is away keeps no other from being used', async () => {
    const rest = createRestClient(stack.http, { authorization: `Bearer ${await tokenOf('platform')}` });
    const token = await signToken(pipelines, key, { aud: 'pipelines', sub: 'build 7', repository: 'org/shop' });
    const publish = () => runCli({ http: stack.http, accessKey: token }, ['functions', 'publish', 'echo']);
    assert.match((await publish()).stderr, /keys of the token issuer cannot be fetched/);
    const ready = await rest.call('GET', '/readyz');
    assert.equal(ready.status, 200);
    assert.match(JSON.stringify(ready.body), new RegExp(`tokens are refused: the keys of ${pipelines.url} cannot be fetched`));
    assert.equal((await rest.call('GET', '/v1/agents')).status, 200);
    pipelines.isDown = false;
    await eventually(async () => (await publish()).code === 0, 40_000);
    const { body } = await rest.call<Records>('GET', '/v1/audit-records?key_id=oidc.ci:build%207');
    assert.deepEqual([...new Set(body.audit_records.map(({ outcome }) => outcome))], ['OK']);
  });

  it('has them in the audit log', async () => {
    const rest = createRestClient(stack.http, { authorization: `Bearer ${await tokenOf('platform')}` });
    const { body } = await rest.call<Records>('GET', '/v1/audit-records?action=functions.write');
    assert.deepEqual(
      body.audit_records.map(({ key_id: id, outcome }) => `${id} ${outcome}`),
      ['oidc.ci:build 7 OK', 'oidc:one of devs OK', 'oidc:one of devs OK'],
    );
  });

  it('takes a rate of all keys as that of each subject', async () => {
    const rest = createRestClient(stack.http, { authorization: `Bearer ${await tokenOf('platform')}` });
    await rest.call('PUT', '/v1/access-keys/*/quota', { events_per_second: 1, burst: 2 });
    const post = async (sub: string) => {
      const one = createRestClient(stack.http, { authorization: `Bearer ${await tokenOf('apps', { sub })}` });
      return (await one.call('POST', '/v1/namespaces/default/functions/echo/events', {})).status;
    };
    for (const sub of ['ada', 'bob']) {
      const statuses = [await post(sub), await post(sub), await post(sub), await post(sub), await post(sub)];
      assert.deepEqual([statuses[0], statuses.includes(429)], [202, true], statuses.join(' '));
    }
  });
});
