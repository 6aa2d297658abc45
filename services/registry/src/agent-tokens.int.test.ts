import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { type Authority, makeAuthority, makeSigningRequest } from '@evenfall/certificates';
import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { CreateAgentTokenRequest, type CreateAgentTokenResponse, ListAgentTokensRequest } from '@evenfall/contracts/v1/operator_service';
import { isRefusal } from '@evenfall/errors';
import { capacityOf, identitiesOf } from '@evenfall/peer-identity';
import { type ClientOf, inProcessClient } from '@evenfall/rpc';
import { silentLog } from '@evenfall/telemetry';
import { testDatabase, type TestDatabase } from '@evenfall/testkit';
import { durationOfMs, fakeClock } from '@evenfall/time';
import { sweepOnce } from './loops/sweep.ts';
import { renewCertificate } from './flows/agent-tokens.ts';
import { createAgentTokenStore } from './adapters/postgres/agent-token-store.ts';
import { type RunningRegistry, startRegistry } from './service.ts';

const DAY_MS = 24 * 3_600_000;
const why = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => '',
    (error: unknown) => (isRefusal(error) ? error.reason : String(error)),
  );

describe('agents that join by a token', () => {
  let db: TestDatabase;
  let dir: string;
  let authority: Authority;
  let running: RunningRegistry;
  let registry: ClientOf<typeof RegistryServiceService>;
  const clock = fakeClock();
  const joining = () => ({ authority, validMs: 30 * DAY_MS, authorities: () => Promise.resolve(authority.certificate) });
  before(async () => {
    db = await testDatabase();
    dir = mkdtempSync(join(tmpdir(), 'evenfall-join-'));
    authority = await makeAuthority(join(dir, 'ca'));
    running = await startRegistry({ sql: db.sql, log: silentLog, clock, joining: joining() });
    registry = inProcessClient(RegistryServiceService, running.registry);
  });
  after(async () => {
    await running.stop();
    await db.drop();
    rmSync(dir, { recursive: true });
  });
  beforeEach(async () => {
    await db.sql`DELETE FROM registry.agent_token`;
  });

  const create = (more: Partial<CreateAgentTokenRequest> = {}): Promise<CreateAgentTokenResponse> =>
    registry.createAgentToken({ ...CreateAgentTokenRequest.create(), ...more });
  const joinBy = async (token: string, agentId = '', request?: string) =>
    running.join({ token, agentId, signingRequest: request ?? (await makeSigningRequest()).request });
  const renew = (agentId: string, request: string) =>
    renewCertificate({ agentTokens: createAgentTokenStore(db.sql), joining: joining(), clock, log: silentLog }, agentId, request);

  it('get a certificate with their identity, and what they count for, and no token twice', async () => {
    const { secret, agentToken, authoritySha256 } = await create({ agentId: 'host-9', maxCapacityMb: 2_048 });
    assert.equal(authoritySha256, authority.sha256);
    assert.deepEqual([agentToken?.agentId, agentToken?.usedByAgentId], ['host-9', '']);
    const { request } = await makeSigningRequest();
    const joined = await joinBy(secret, 'host-9', request);
    const certificate = new X509Certificate(joined.certificate);
    assert.equal(joined.agentId, 'host-9');
    assert.deepEqual(identitiesOf(certificate.subjectAltName), ['agent/host-9']);
    assert.equal(capacityOf(certificate.subjectAltName), 2_048);
    assert.ok(certificate.verify(new X509Certificate(authority.certificate).publicKey));
    assert.equal(certificate.ca, false);
    // The answer may have been lost: the same request again. Another key is another use.
    assert.equal((await joinBy(secret, 'host-9', request)).agentId, 'host-9');
    assert.equal(await why(joinBy(secret, 'host-9')), 'JOIN_REFUSED');
    const { agentTokens } = await registry.listAgentTokens(ListAgentTokensRequest.create());
    assert.deepEqual(agentTokens.map(({ usedByAgentId }) => usedByAgentId), ['host-9']); // prettier-ignore
  });

  it('of two at the same time one joins', async () => {
    const { secret } = await create();
    const answers = await Promise.all(Array.from({ length: 10 }, () => why(joinBy(secret))));
    assert.deepEqual(answers.toSorted(), ['', ...Array.from({ length: 9 }, () => 'JOIN_REFUSED')]);
  });

  it('are refused in one way, whatever is wrong with the token', async () => {
    const { secret, agentToken } = await create({ agentId: 'host-9', timeToLive: durationOfMs(60_000) });
    for (const token of ['', 'evj_', `${secret}x`, secret.toUpperCase(), `evj_${'A'.repeat(43)}`, "' OR true --"])
      assert.equal(await why(joinBy(token, 'host-9')), 'JOIN_REFUSED', token);
    assert.equal(await why(joinBy(secret, 'host-8')), 'JOIN_REFUSED', 'for another agent');
    const { secret: free } = await create();
    assert.equal(await why(joinBy(free, 'host-9')), 'JOIN_REFUSED', 'an id that it does not name');
    clock.advance(60_000);
    assert.equal(await why(joinBy(secret, 'host-9')), 'JOIN_REFUSED', 'expired');
    await registry.revokeAgentToken({ id: agentToken?.id ?? '' });
    const { secret: revoked, agentToken: gone } = await create();
    await registry.revokeAgentToken({ id: gone?.id ?? '' });
    assert.equal(await why(joinBy(revoked)), 'JOIN_REFUSED', 'revoked');
    assert.equal(await why(registry.revokeAgentToken({ id: 'none' })), 'AGENT_TOKEN_NOT_FOUND');
    const stored = JSON.stringify(await db.sql`SELECT *, encode(secret_sha256, 'escape') FROM registry.agent_token`);
    for (const text of [secret, free, revoked]) assert.ok(!stored.includes(text.slice(4)), 'only its digest is kept');
  });

  it('keep their token where the request is no good', async () => {
    const { secret } = await create({ agentId: 'host-9' });
    const { request } = await makeSigningRequest();
    const changed = request.replace(/[A-Z]{4}(?=[^-]*\n-----END)/, 'AAAA');
    for (const bad of ['', 'nonsense', request.slice(0, -60), changed, authority.certificate, 'x'.repeat(9_000)])
      assert.equal(await why(joinBy(secret, 'host-9', bad)), 'INVALID_FIELD', bad.slice(0, 40));
    for (const id of ['../x', 'a b', 'x'.repeat(64), 'a,URI:spiffe://evenfall/queue'])
      assert.equal(await why(joinBy(secret, id, request)), 'INVALID_FIELD', id);
    assert.equal((await joinBy(secret, '', request)).agentId, 'host-9');
  });

  it('have it renewed with what their token says, until it is revoked, for 90 days and more', async () => {
    const { secret, agentToken } = await create({ maxCapacityMb: 512 });
    const { agentId } = await joinBy(secret);
    assert.match(agentId, /^agent-[0-9a-f]{20}$/);
    clock.advance(200 * DAY_MS);
    await sweepOnce(
      { agentTokens: createAgentTokenStore(db.sql), audit: { sweep: async () => 0 }, keys: { sweep: async () => 0 }, clock } as never, // all that it uses
      90 * DAY_MS,
      new AbortController().signal,
    );
    const { request } = await makeSigningRequest();
    const { subjectAltName } = new X509Certificate((await renew(agentId, request)).certificate);
    assert.deepEqual([identitiesOf(subjectAltName), capacityOf(subjectAltName)], [[`agent/${agentId}`], 512]);
    assert.equal(await why(renew('host-1', request)), 'JOIN_REFUSED', 'one that was issued by hand');
    await registry.revokeAgentToken({ id: agentToken?.id ?? '' });
    assert.equal(await why(renew(agentId, request)), 'JOIN_REFUSED');
    assert.equal(await why(registry.renewCertificate({ signingRequest: request })), 'UNAUTHENTICATED', 'no certificate, no renewal');
  });

  it('do not, where the registry has no authority', async () => {
    const other = await startRegistry({ sql: db.sql, log: silentLog, clock });
    const client = inProcessClient(RegistryServiceService, other.registry);
    assert.equal(await why(client.createAgentToken(CreateAgentTokenRequest.create())), 'JOINING_OFF');
    assert.equal(await why(other.join({ token: 'x', agentId: '', signingRequest: '' })), 'JOINING_OFF');
    await other.stop();
  });

  it('are asked for in bounds', async () => {
    for (const bad of [
      { agentId: 'a/b' },
      { agentId: 'x'.repeat(64) },
      { maxCapacityMb: 63 },
      { maxCapacityMb: -1 },
      { timeToLive: durationOfMs(8 * DAY_MS) },
    ])
      assert.equal(await why(create(bad)), 'INVALID_FIELD', JSON.stringify(Object.keys(bad)));
    for (let i = 0; i < 5; i++) await create();
    const first = await registry.listAgentTokens({ pageSize: 3, pageToken: '' });
    const second = await registry.listAgentTokens({ pageSize: 3, pageToken: first.nextPageToken });
    assert.deepEqual([first.agentTokens.length, second.agentTokens.length, second.nextPageToken], [3, 2, '']);
  });
});
