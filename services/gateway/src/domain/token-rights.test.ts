import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isRefusal } from '@evenfall/errors';
import fc from 'fast-check';
import { accessOfClaims, ROLE_RULE, roleRuleOf } from './token-rights.ts';
import { isTrustworthy } from './token-settings.ts';

const rules = ['admins=admin@*', 'devs=deployer@team-a+team-b', 'eyes=viewer@*', 'auditors=viewer+payloads@*'].map(roleRuleOf);
const rightsOf = (claims: Record<string, unknown>, claim = 'groups') => accessOfClaims({ sub: 'alice', ...claims }, { claim, rules });
const roleOf = (claims: Record<string, unknown>, claim?: string): string => {
  const access = rightsOf(claims, claim);
  return isRefusal(access) ? access.reason : access.grants.map(({ role }) => role).join(' ');
};

describe('Rights of a token', () => {
  it('are those of all rules that one of its values matches', () => {
    const deployer = { role: 'deployer', namespaces: new Set(['team-a', 'team-b']), showsPayloads: false };
    const auditor = { role: 'viewer', namespaces: 'all', showsPayloads: true };
    assert.deepEqual(rightsOf({ groups: ['devs', 'others'] }), { id: 'oidc:alice', grants: [deployer] });
    assert.deepEqual(rightsOf({ groups: 'auditors' }), { id: 'oidc:alice', grants: [auditor] });
    assert.deepEqual(rightsOf({ groups: ['auditors', 'x', 'devs', 'devs'] }), { id: 'oidc:alice', grants: [deployer, auditor] });
    const twice = ['a=viewer@ab', 'a=operator@cd'].map(roleRuleOf);
    const access = accessOfClaims({ sub: 'alice', groups: 'a' }, { claim: 'groups', rules: twice });
    assert.ok(!isRefusal(access));
    assert.equal(access.grants.length, 2, 'one value may have several rules');
  });

  it('are none without a value that a rule is about, for every value of the claim', () => {
    for (const groups of [
      undefined,
      null,
      [],
      '',
      'dev',
      'devs ',
      ['DEVS'],
      { devs: true },
      7,
      [['devs']],
      [{ name: 'devs' }],
      'devs,admins',
    ])
      assert.equal(roleOf({ groups }), 'TOKEN_WITHOUT_ROLE', JSON.stringify(groups));
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const named = new Set(Array.isArray(value) ? value : [value]);
        const isNamed = rules.some((rule) => named.has(rule.value));
        assert.equal(roleOf({ groups: value }) === 'TOKEN_WITHOUT_ROLE', !isNamed);
      }),
    );
  });

  it('stand in a claim by its name, or by a path', () => {
    assert.equal(roleOf({ realm_access: { roles: ['admins'] } }, 'realm_access.roles'), 'admin');
    assert.equal(roleOf({ 'https://example.com/roles': ['admins'] }, 'https://example.com/roles'), 'admin');
    assert.equal(roleOf({ scope: 'openid admins' }, 'scope'), 'admin');
    assert.equal(roleOf({ groups: 'openid admins' }), 'TOKEN_WITHOUT_ROLE', 'a group may have a blank in it');
    for (const claim of ['constructor', '__proto__', 'constructor.name', 'toString.name', 'a.b.c', '.', ''])
      assert.equal(roleOf({ a: 'b' }, claim), 'TOKEN_WITHOUT_ROLE', claim);
  });

  it('need a subject, whose id no access key can have', () => {
    for (const sub of [undefined, '', 7, null, 'a\nb', '\ud800', 'x'.repeat(2_000)]) {
      const access = accessOfClaims({ sub, groups: ['admins'] }, { claim: 'groups', rules });
      assert.ok(isRefusal(access) && access.reason === 'UNAUTHENTICATED', String(sub));
    }
    const ids = ['x'.repeat(120), `${'x'.repeat(120)}a`, `${'x'.repeat(120)}b`, 'bob'].map((sub) => {
      const access = accessOfClaims({ sub, groups: ['admins'] }, { claim: 'groups', rules });
      assert.ok(!isRefusal(access));
      assert.ok(access.id.length <= 128 && access.id.startsWith('oidc:'));
      return access.id;
    });
    assert.equal(new Set(ids).size, 4);
    // Subjects of different issuers are different callers, whatever they are called.
    const named = (sub: string, name?: string) => {
      const access = accessOfClaims({ sub, groups: ['admins'] }, { claim: 'groups', rules }, name);
      return isRefusal(access) ? access.reason : access.id;
    };
    assert.deepEqual([named('bob', 'ci'), named('ci:bob'), named('bob')], ['oidc.ci:bob', 'oidc:ci:bob', 'oidc:bob']);
  });

  it('are written as value=role@namespaces, and nothing else', () => {
    for (const good of ['a=admin@*', 'me@example.com=viewer+payloads@team-a', 'repo:org/x:ref=invoker@ab+cd', 'CN@=operator@*'])
      assert.match(good, ROLE_RULE);
    for (const bad of [
      'a=admin',
      'a=root@*',
      '=admin@*',
      'a=admin@',
      'a=admin@*+b',
      'a=admin+payloads@*',
      'a=viewer@team a',
      'a b=admin@*',
      'a=admin@-x',
    ])
      assert.doesNotMatch(bad, ROLE_RULE);
    assert.equal(roleRuleOf('me@example.com=viewer@ab').value, 'me@example.com');
  });
});

describe('The address of an issuer', () => {
  it('is https, or on this machine', () => {
    for (const good of [
      'https://id.example.com',
      'https://id.example.com/realms/x',
      'http://127.0.0.1:9',
      'http://localhost:8080/a',
      'http://[::1]:1',
    ])
      assert.ok(isTrustworthy(good), good);
    for (const bad of [
      'http://id.example.com',
      'http://127.0.0.1.example.com',
      'http://localhost.example.com',
      ['https://me', 'x@id.example.com'].join(':'),
      'ftp://x',
      'file:///etc/passwd',
      '',
    ])
      assert.ok(!isTrustworthy(bad), bad);
  });
});
