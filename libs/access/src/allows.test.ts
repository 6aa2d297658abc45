import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isRefusal } from '@evenfall/errors';
import fc from 'fast-check';
import {
  type Access,
  type Action,
  ACTIONS,
  allows,
  allowsInEach,
  checkAccess,
  type Grant,
  hasRight,
  namespacesWith,
  type Role,
  ROLES,
  rolesText,
} from './index.ts';

const NAMES = Object.keys(ACTIONS) as Action[]; // its own keys
const grant = (role: Role, namespaces: Grant['namespaces'], showsPayloads = false): Grant => ({ role, namespaces, showsPayloads });
const key = (...given: Parameters<typeof grant>): Access => ({ id: 'k', grants: [grant(...given)] });

/** The rights of each role, written once more by hand: a change of the table has to be meant. */
const RIGHTS: Readonly<Record<Exclude<Role, 'admin'>, readonly Action[]>> = {
  operator: [
    ...(['functions.read', 'concurrency.write', 'events.read', 'events.read_payloads', 'events.terminate', 'logs.read'] as const),
    ...(['dead_letters.read', 'dead_letters.redrive', 'dead_letters.purge', 'instances.read', 'audit.read'] as const),
    ...(['platform.read', 'platform.operate', 'quotas.read'] as const),
  ],
  deployer: [
    ...(['functions.read', 'functions.read_secrets', 'functions.write', 'concurrency.write', 'events.read'] as const),
    ...(['events.read_payloads', 'logs.read', 'dead_letters.read', 'instances.read', 'quotas.read'] as const),
  ],
  invoker: [
    ...(['functions.read', 'functions.invoke', 'events.create', 'events.read', 'events.read_payloads'] as const),
    ...(['events.terminate', 'logs.read'] as const),
  ],
  viewer: ['functions.read', 'events.read', 'dead_letters.read', 'instances.read', 'platform.read'],
};

describe('rights', () => {
  it('are those of the role', () => {
    for (const action of NAMES) {
      for (const role of ROLES) {
        const expected = role === 'admin' || RIGHTS[role].includes(action);
        assert.equal(hasRight(grant(role, 'all'), action), expected, `${role} ${action}`);
      }
    }
    for (const action of ['events.read_payloads', 'logs.read'] as const) assert.ok(hasRight(grant('viewer', 'all', true), action));
  });

  it('hold in the namespaces of the key and nowhere else', () => {
    for (const role of ROLES) {
      for (const action of NAMES) {
        const some = key(role, new Set(['a', 'b']), true);
        const right = hasRight(grant(role, 'all', true), action);
        const isOfPlatform = ACTIONS[action].of === 'platform';
        assert.equal(allows(some, action, 'a'), right && !isOfPlatform);
        assert.equal(allows(some, action, 'c'), false);
        assert.equal(allows(some, action), right && !isOfPlatform);
        assert.equal(allows(key(role, 'all', true), action, 'c'), right);
        assert.equal(allows(key(role, new Set(), true), action, 'a'), false);
      }
    }
  });

  it('are refused with the action, the namespace and the role', () => {
    assert.throws(
      () => checkAccess(key('viewer', new Set(['a'])), 'functions.write', 'a'),
      (error) =>
        isRefusal(error) &&
        error.reason === 'ROLE_FORBIDS' &&
        error.metadata['action'] === 'functions.write' &&
        error.metadata['namespace'] === 'a' &&
        error.metadata['role'] === 'viewer without payloads',
    );
  });

  it('to keys are rights to keys of the same namespaces', () => {
    const may = (access: Access, namespaces: readonly string[]): boolean => allowsInEach(access, 'keys.manage', namespaces);
    assert.ok(may(key('admin', 'all'), ['*']));
    assert.ok(may(key('admin', new Set(['a', 'b'])), ['a']));
    for (const beyond of [['*'], ['a', '*'], ['c'], ['a', 'c'], []]) assert.ok(!may(key('admin', new Set(['a', 'b'])), beyond));
    const several: Access = { id: 'k', grants: [grant('admin', new Set(['a'])), grant('operator', 'all'), grant('admin', new Set(['b']))] };
    assert.ok(may(several, ['a', 'b']));
    assert.ok(!may(several, ['c']), 'an operator makes no keys');
    assert.ok(!may(several, ['*']));
  });

  it('of several grants are those of each, namespace by namespace, and no more', () => {
    const anyGrant = fc.record({
      role: fc.constantFrom(...ROLES),
      namespaces: fc.oneof(
        fc.constant('all' as const),
        fc.uniqueArray(fc.constantFrom('a', 'b', 'c')).map((names) => new Set<string>(names)),
      ),
      showsPayloads: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(anyGrant, { maxLength: 4 }), fc.constantFrom(...NAMES), (grants, action) => {
        const access: Access = { id: 'k', grants };
        for (const namespace of ['a', 'b', 'c', undefined]) {
          const each = grants.some((one) => allows({ grants: [one] }, action, namespace));
          assert.equal(allows(access, action, namespace), each);
        }
        const found = namespacesWith(access, action);
        for (const namespace of ['a', 'b', 'c']) {
          const isFound = found === 'all' || found.has(namespace);
          assert.equal(
            isFound,
            grants.some((one) => hasRight(one, action) && (one.namespaces === 'all' || one.namespaces.has(namespace))),
          );
        }
        assert.equal(found === 'all', allowsInEach(access, action, ['*']));
      }),
    );
  });

  it('are named in a refusal, each role once', () => {
    const grants = [grant('viewer', new Set(['a'])), grant('operator', 'all'), grant('viewer', new Set(['b']))];
    assert.equal(rolesText({ grants }), 'viewer without payloads, operator');
  });
});
