import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { isRefusal } from '@evenfall/errors';
import { silentLog } from '@evenfall/telemetry';
import { eventually } from '@evenfall/testkit';
import { type FakeClock, fakeClock } from '@evenfall/time';
import { UnsecuredJWT } from 'jose';
import { roleRuleOf } from '../../domain/token-rights.ts';
import type { TokenSettings } from '../../domain/token-settings.ts';
import { type Issuer, newKey, type SigningKey, signToken, startIssuer } from '../../testing/issuer.ts';
import { createIssuers } from './issuers.ts';

const HOUR_MS = 3_600_000;

describe('several issuers', () => {
  let people: Issuer;
  let ci: Issuer;
  let ofPeople: SigningKey;
  let ofCi: SigningKey;
  let clock: FakeClock;
  let tokens: ReturnType<typeof createIssuers>;
  const settings = (): readonly TokenSettings[] => [
    settingsOf(undefined, people, 'evenfall', 'groups', 'devs=deployer@team-a'),
    settingsOf('ci', ci, 'pipelines', 'repository', 'org/shop=admin@shop', 'org/shop=viewer@team-a'),
  ];
  const settingsOf = (name: string | undefined, { url }: Issuer, audience: string, claim: string, ...rules: readonly string[]) => ({
    ...{ name, issuer: url, audience, keysMaxAgeMs: HOUR_MS, maxLifetimeMs: 24 * HOUR_MS },
    rights: { claim, rules: rules.map(roleRuleOf) },
  });

  before(async () => {
    [ofPeople, ofCi] = [await newKey('same id'), await newKey('same id')];
    [people, ci] = [await startIssuer(ofPeople), await startIssuer(ofCi)];
  });
  after(() => Promise.all([people.stop(), ci.stop()]));
  beforeEach(() => {
    for (const issuer of [people, ci]) issuer.isDown = false;
    clock = fakeClock(Date.now());
    tokens = createIssuers(settings(), { clock, log: silentLog });
  });
  const check = async (token: string) => tokens.check(token);
  const refused = (token: string, detail: RegExp, reason = 'UNAUTHENTICATED') =>
    assert.rejects(check(token), (error) => isRefusal(error) && error.reason === reason && detail.test(error.message));
  const CI = { aud: 'pipelines', sub: 'alice', repository: 'org/shop' };

  it('each have an audience, a claim and rules, and subjects of their own', async () => {
    const alice = await check(await signToken(people, ofPeople));
    const other = await check(await signToken(ci, ofCi, CI));
    assert.deepEqual([alice.id, alice.grants.map(({ role }) => role)], ['oidc:alice', ['deployer']]);
    assert.deepEqual([other.id, other.grants.map(({ role }) => role)], ['oidc.ci:alice', ['admin', 'viewer']]);
  });

  it('give nothing to tokens that mix what is of one with what is of another', async () => {
    await refused(await signToken(ci, ofPeople, CI), /signature/);
    await refused(await signToken(people, ofCi), /signature/);
    await refused(await signToken(ci, ofCi, { ...CI, aud: 'evenfall' }), /"aud"/);
    await refused(await signToken(people, ofPeople, { aud: 'pipelines' }), /"aud"/);
    await refused(
      await signToken(ci, ofCi, { ...CI, repository: undefined, groups: ['devs'] }),
      /claim "repository"/,
      'TOKEN_WITHOUT_ROLE',
    );
    await refused(await signToken({ url: 'https://other.example' }, ofCi, CI), /issuer that is not known/);
    await refused(await signToken({ url: `${ci.url}/` }, ofCi, CI), /issuer that is not known/, 'UNAUTHENTICATED');
    await refused(await signToken({ url: '' }, ofCi, CI), /issuer that is not known/);
    await refused(new UnsecuredJWT({ ...CI, iss: ci.url }).encode(), /not valid|not allowed/);
    for (const text of ['a.b.c', '..', `${Buffer.from('{}').toString('base64url')}.e30.x`, `${'x'.repeat(9_000)}.y.z`])
      await refused(text, /./);
  });

  it('do not keep each other from being used: one is away, and says so', async () => {
    ci.isDown = true;
    const end = new AbortController();
    const over = tokens.run(end.signal);
    await refused(await signToken(ci, ofCi, CI), /keys of the token issuer/, 'SERVICE_UNAVAILABLE');
    assert.equal((await check(await signToken(people, ofPeople))).id, 'oidc:alice');
    await eventually(() => tokens.notes().length === 1);
    assert.match(tokens.notes().join(), new RegExp(`^tokens are refused: the keys of ${ci.url} cannot be fetched`));
    ci.isDown = false;
    clock.advance(11_000);
    assert.equal((await check(await signToken(ci, ofCi, CI))).id, 'oidc.ci:alice');
    assert.deepEqual(tokens.notes(), []);
    end.abort();
    await over;
  });

  it('end what was opened with a token of theirs, and nothing else', async () => {
    const [alice, pipeline] = [await check(await signToken(people, ofPeople)), await check(await signToken(ci, ofCi, CI))];
    const ends = [tokens.endOf(alice), tokens.endOf(pipeline)];
    const another = await newKey('another');
    ci.shown = [another.jwk];
    clock.advance(11_000);
    await check(await signToken(ci, another, CI));
    assert.deepEqual(
      ends.map((end) => end?.aborted),
      [false, true],
    );
    ci.shown = [ofCi.jwk];
  });
});
