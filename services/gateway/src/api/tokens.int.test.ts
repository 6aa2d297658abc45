import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { Event } from '@evenfall/contracts/v1/event';
import { CreateEventRequest, EventServiceService, TerminateEventRequest } from '@evenfall/contracts/v1/event_service';
import { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { isRefusal } from '@evenfall/errors';
import { grpcClient } from '@evenfall/rpc';
import { eventually } from '@evenfall/testkit';
import { roleRuleOf } from '../domain/token-rights.ts';
import { RUNNABLE } from '../testing/complete.ts';
import { call, callScf, openApis } from '../testing/harness.ts';
import { AUDIENCE, newKey, signToken, startIssuer } from '../testing/issuer.ts';
import { readConfig } from '../config.ts';

const key = await newKey('first');
const issuer = await startIssuer(key);
const ROLES = ['admins=admin@*', 'devs=deployer@default', 'apps=invoker@default'];
const ID = '01990000-0000-7000-8000-00000000000c';
const EVENTS = '/v1/namespaces/default/functions/killer/events';

describe('APIs that accept tokens', () => {
  const rights = { claim: 'groups', rules: ROLES.map(roleRuleOf) };
  const apis = openApis({
    oidc: [{ name: undefined, issuer: issuer.url, audience: AUDIENCE, rights, keysMaxAgeMs: 3_600_000, maxLifetimeMs: 86_400_000 }],
  });
  const bearer = async (claims = {}, header = {}) => ({ authorization: `Bearer ${await signToken(issuer, key, claims, header)}` });
  const of = (group: string, more = {}) => bearer({ groups: [group], sub: group, ...more });
  const grpcAs = (headers: { readonly authorization: string }) => {
    const address = `127.0.0.1:${apis.gateway.grpcPort}`;
    const events = grpcClient(EventServiceService, address, { headers });
    const functions = grpcClient(FunctionServiceService, address, { headers });
    return {
      events: events.client,
      functions: functions.client,
      close() {
        events.close();
        functions.close();
      },
    };
  };
  const refusedAs = (reason: string) => (error: unknown) => isRefusal(error) && error.reason === reason;

  before(() => eventually(() => apis.world.quotaWatches.length > 0));
  beforeEach(() => {
    apis.world.events.set(ID, Event.create({ id: ID, namespace: 'default', function: 'killer', state: 2 }));
    apis.world.functions.set('other/killer', { ...RUNNABLE, namespace: 'other' });
  });
  after(() => issuer.stop());

  it('let in by role and namespace over REST, as with keys', async () => {
    assert.equal((await call(`${apis.url}${EVENTS}`, 'POST', {}, await of('apps'))).status, 202);
    for (const [group, status, reason] of [
      ['devs', 403, 'ROLE_FORBIDS'],
      ['strangers', 403, 'TOKEN_WITHOUT_ROLE'],
    ] as const) {
      const answer = await call(`${apis.url}${EVENTS}`, 'POST', {}, await of(group));
      assert.deepEqual([answer.status, /"reason":"(\w+)"/.exec(answer.text)?.[1]], [status, reason]);
    }
    const elsewhere = await call(`${apis.url}/v1/namespaces/other/functions/killer/events`, 'POST', {}, await of('apps'));
    assert.equal(elsewhere.status, 403);
    const expired = await call(`${apis.url}${EVENTS}`, 'POST', {}, await of('apps', { exp: 1 }));
    assert.deepEqual([expired.status, expired.headers.get('www-authenticate')], [401, 'Bearer realm="evenfall"']);
    assert.equal((await call(`${apis.url}${EVENTS}`, 'POST', {})).status, 202, 'keys are taken all the same');
  });

  it('let in over gRPC too, for one message or many', async () => {
    const apps = grpcAs(await of('apps'));
    const named = { namespace: 'default', function: 'killer', qualifier: '' };
    assert.ok((await apps.events.createEvent(CreateEventRequest.create(named))).event?.id);
    const batch = { ...named, submissions: [{ payload: Buffer.from('1'), idempotencyKey: '', delay: undefined }] };
    async function* batches() {
      yield { batch };
      yield { batch };
    }
    assert.equal((await apps.events.streamCreateEvents(batches())).eventIds.length, 2);
    await assert.rejects(apps.functions.deleteFunction({ namespace: 'default', name: 'killer' }), refusedAs('ROLE_FORBIDS'));
    apps.close();
    const wrong: readonly (readonly [{ readonly authorization: string }, string])[] = [
      [await of('apps', { exp: 1 }), 'UNAUTHENTICATED'],
      [await of('apps', { aud: 'others' }), 'UNAUTHENTICATED'],
      [await of('strangers'), 'TOKEN_WITHOUT_ROLE'],
      [{ authorization: `Bearer ${'a'.repeat(9_000)}.b.c` }, 'UNAUTHENTICATED'],
    ];
    for (const [headers, reason] of wrong) {
      const client = grpcAs(headers);
      await assert.rejects(client.events.createEvent(CreateEventRequest.create(named)), refusedAs(reason));
      client.close();
    }
  });

  it('have the subject in the audit log and on receipts', async () => {
    const answer = await call(`${apis.url}/v1/events/${ID}:terminate`, 'POST', {}, await of('apps', { sub: 'ci@example.com' }));
    assert.equal(answer.status, 200, answer.text);
    assert.equal(apis.world.terminations.at(-1)?.requester, 'oidc:ci@example.com');
    const admin = grpcAs(await of('admins', { sub: 'root' }));
    await admin.events.terminateEvent(TerminateEventRequest.create({ id: ID }));
    await admin.functions.publishFunctionVersion({ namespace: 'default', name: 'killer', description: '' });
    admin.close();
    assert.deepEqual(
      apis.world.audit.map(({ keyId, action }) => `${keyId} ${action}`),
      ['oidc:root functions.write'],
    );
    const asked = apis.world.terminations.slice(-2).map(({ audit }) => `${audit?.keyId} ${audit?.action}`);
    assert.deepEqual(
      asked,
      ['oidc:ci@example.com events.terminate', 'oidc:root events.terminate'],
      'of which the event log has the record',
    );
  });

  it('end a watch when the token of it expires', { timeout: 30_000 }, async () => {
    // Expired for almost as long as clocks may differ.
    const headers = await of('apps', { exp: Math.floor(Date.now() / 1_000) - 7 });
    const response = await fetch(`${apis.url}/v1/events/${ID}:watch`, { headers });
    assert.equal(response.status, 200);
    const reader = response.body?.getReader();
    const client = grpcAs(headers);
    const watched = client.events.watchEvent({ id: ID, afterVersion: 0 })[Symbol.asyncIterator]().next();
    const over = watched.then(
      ({ done }) => done === true,
      () => true,
    );
    for (let isDone = false; !isDone;) isDone = (await reader?.read())?.done ?? true;
    assert.equal(await over, true);
    client.close();
    assert.equal((await call(`${apis.url}/v1/events/${ID}`, 'GET', undefined, headers)).status, 401);
  });

  it('take none for keys of SCF, nor what only looks like one', async () => {
    const { authorization } = await of('admins');
    const answer = await callScf(apis.url, 'ListFunctions', {}, { authorization });
    assert.match(answer.text, /AuthFailure\./);
    for (const text of ['a.b.c', `${'x'.repeat(7_000)}.y.z`, 'a.b', 'a.b.c.d.e', '..'])
      assert.equal((await call(`${apis.url}${EVENTS}`, 'POST', {}, { authorization: `Bearer ${text}` })).status, 401, text);
  });

  it('say that the issuer is away, and take keys all the same', async () => {
    issuer.isDown = true;
    const before = issuer.asked;
    // A key that is not known has the issuer asked, once some seconds have passed.
    await eventually(async () => {
      await call(`${apis.url}/v1/events/${ID}`, 'GET', undefined, await bearer({}, { kid: `k${Math.random()}` }));
      const { json } = await call(`${apis.url}/readyz`, 'GET');
      return /tokens are checked by keys that were fetched before/.test(JSON.stringify(json));
    }, 20_000);
    assert.equal(issuer.asked, before);
    const { status, json } = await call(`${apis.url}/readyz`, 'GET');
    assert.equal(status, 200, JSON.stringify(json));
    issuer.isDown = false;
  });
});

describe('settings of tokens', () => {
  const env = { EVENFALL_ACCESS_KEYS: 'ops:correct-horse', EVENFALL_REGISTRY_ADDRESS: '127.0.0.1:1' };
  const oidc = {
    EVENFALL_OIDC_ISSUER: 'https://id.example',
    EVENFALL_OIDC_AUDIENCE: 'evenfall',
    EVENFALL_OIDC_ROLES: 'a=admin@*,b=viewer@x1',
  };
  const faultOf = (more: Readonly<Record<string, string>>): string => {
    try {
      readConfig({ ...env, ...more });
      return '';
    } catch (error) {
      return String(error);
    }
  };

  it('go together, and are refused where they let in too many', () => {
    const none = faultOf({});
    assert.doesNotMatch(none, /OIDC/);
    assert.doesNotMatch(faultOf(oidc), /OIDC/);
    for (const name of Object.keys(oidc)) {
      const some = Object.fromEntries(Object.entries(oidc).filter(([one]) => one !== name));
      assert.match(faultOf(some), /go together: some of them are not set/);
    }
    assert.match(faultOf({ ...oidc, EVENFALL_OIDC_ISSUER: 'http://id.example' }), /fetched without TLS/);
    assert.match(faultOf({ ...oidc, EVENFALL_OIDC_ROLES: 'a=root@*' }), /EVENFALL_OIDC_ROLES/);
    assert.match(faultOf({ ...oidc, EVENFALL_OIDC_ROLES: '' }), /OIDC_ROLES/);
    assert.match(faultOf({ ...oidc, EVENFALL_OPEN: 'yes', EVENFALL_ACCESS_KEYS: '' }), /EVENFALL_OIDC_ISSUER are both set/);
  });

  it('may be a list of issuers, beside the single one or without it', () => {
    const ci = { name: 'ci', issuer: 'https://ci.example', audience: 'evenfall', roles: ['org/shop=deployer@shop'] };
    const list = (...entries: readonly object[]) => ({ EVENFALL_OIDC_ISSUERS: JSON.stringify(entries) });
    assert.doesNotMatch(faultOf(list(ci)), /OIDC/);
    assert.doesNotMatch(faultOf({ ...oidc, ...list(ci) }), /OIDC/);
    assert.match(
      faultOf(list({ ...ci, roles: ['x'] }, { ...ci, issuer: 'http://x.example' })),
      /EVENFALL_OIDC_ISSUERS: issuer 1: "roles".*; issuer 2: .*TLS/,
    );
    assert.match(
      faultOf({ ...oidc, ...list({ ...ci, issuer: 'https://id.example' }) }),
      /"https:\/\/id\.example" is the one of EVENFALL_OIDC_ISSUER/,
    );
    assert.match(faultOf({ EVENFALL_OIDC_ISSUERS: 'ci' }), /it is not JSON/);
    assert.match(faultOf({ ...list(ci), EVENFALL_OPEN: 'yes', EVENFALL_ACCESS_KEYS: '' }), /EVENFALL_OIDC_ISSUERS are both set/);
    const settings = {
      ...env,
      ...oidc,
      ...list(ci),
      EVENFALL_QUEUE_ADDRESSES: 'q:1',
      EVENFALL_SCHEDULER_ADDRESS: 's:1',
      EVENFALL_EVENT_STORE_ADDRESS: 'e:1',
      EVENFALL_INTERNAL_KEY: 'k'.repeat(32),
    };
    const { gateway } = readConfig(settings);
    assert.deepEqual(
      gateway.oidc.map(({ name, issuer: address, rights: { claim }, keysMaxAgeMs }) => [name, address, claim, keysMaxAgeMs]),
      [
        [undefined, 'https://id.example', 'groups', 3_600_000],
        ['ci', 'https://ci.example', 'groups', 3_600_000],
      ],
    );
  });
});
