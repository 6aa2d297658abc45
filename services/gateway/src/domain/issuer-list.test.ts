import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { issuersOf } from './issuer-list.ts';

const ONE = { name: 'ci', issuer: 'https://ci.example.com', audience: 'evenfall', roles: ['org/shop=deployer@shop', 'ops=admin@*'] };
const faultsOf = (...list: unknown[]): readonly string[] => issuersOf(JSON.stringify(list)).faults;

describe('A list of issuers', () => {
  it('has for each its audience, its claim and its rules', () => {
    const people = {
      ...ONE,
      name: 'people',
      issuer: 'https://id.example.com/realms/main',
      claim: 'realm_access.roles',
      roles: ['devs=viewer@ab'],
    };
    const { issuers, faults } = issuersOf(JSON.stringify([ONE, people]));
    assert.deepEqual(faults, []);
    assert.deepEqual(
      issuers.map(({ name, issuer, audience, rights: { claim, rules } }) => [name, issuer, audience, claim, rules.length]),
      [
        ['ci', 'https://ci.example.com', 'evenfall', 'groups', 2],
        ['people', 'https://id.example.com/realms/main', 'evenfall', 'realm_access.roles', 1],
      ],
    );
  });

  it('is refused with every fault, and gives no issuer then', () => {
    const wrong: readonly (readonly [unknown, RegExp])[] = [
      [{ ...ONE, name: 'Ci' }, /issuer 1: "name"/],
      [{ ...ONE, name: 'a.b' }, /issuer 1: "name"/],
      [{ ...ONE, name: undefined }, /issuer 1: "name"/],
      [{ ...ONE, issuer: 'http://ci.example.com' }, /without TLS/],
      [{ ...ONE, issuer: 'https://ci.example.com/?x' }, /"issuer"/],
      [{ ...ONE, audience: '' }, /"audience"/],
      [{ ...ONE, audience: ['evenfall'] }, /"audience"/],
      [{ ...ONE, claim: 7 }, /"claim"/],
      [{ ...ONE, roles: [] }, /"roles"/],
      [{ ...ONE, roles: 'ops=admin@*' }, /"roles"/],
      [{ ...ONE, roles: ['ops=root@*'] }, /"roles"/],
      [{ ...ONE, role: ['ops=admin@*'] }, /a field "role"/],
      [7, /issuer 1 is no object/],
    ];
    for (const [entry, fault] of wrong) {
      const { issuers, faults } = issuersOf(JSON.stringify([entry, { ...ONE, name: 'good', issuer: 'https://good.example.com' }]));
      assert.match(faults.join('; '), fault);
      assert.deepEqual(issuers, []);
    }
    assert.match(faultsOf(ONE, { ...ONE, issuer: 'https://other.example.com' }).join(), /another one is named "ci"/);
    assert.match(faultsOf(ONE, { ...ONE, name: 'other' }).join(), /is there twice/);
    assert.ok(faultsOf({ ...ONE, name: 'A', audience: '' }).length === 2, 'all at once');
    for (const list of [[], Array.from({ length: 17 }, () => ONE)]) assert.match(faultsOf(...list).join(), /1 to 16/);
    for (const text of ['', '{}', '"x"', 'null', '[', 'name=ci']) assert.notDeepEqual(issuersOf(text).faults, [], text);
  });

  it('never throws, and is either good or has a fault', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.string(),
          fc.array(fc.dictionary(fc.constantFrom(...Object.keys(ONE)), fc.jsonValue())).map((a) => JSON.stringify(a)),
        ),
        (text) => {
          const { issuers, faults } = issuersOf(text);
          assert.equal(issuers.length === 0, faults.length > 0);
        },
      ),
    );
  });
});
