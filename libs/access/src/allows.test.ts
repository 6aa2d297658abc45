import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isRefusal } from '@evenfall/errors';
import { type Access, type Action, ACTIONS, allows, checkAccess, coversAll, hasRight, type Role, ROLES } from './index.ts';

const NAMES = Object.keys(ACTIONS) as Action[]; // its own keys
const key = (role: Role, namespaces: Access['namespaces'], showsPayloads = false): Access => ({ id: 'k', role, namespaces, showsPayloads });

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
        assert.equal(hasRight(key(role, 'all'), action), expected, `${role} ${action}`);
      }
    }
    for (const action of ['events.read_payloads', 'logs.read'] as const) assert.ok(hasRight(key('viewer', 'all', true), action));
  });

  it('hold in the namespaces of the key and nowhere else', () => {
    for (const role of ROLES) {
      for (const action of NAMES) {
        const some = key(role, new Set(['a', 'b']), true);
        const right = hasRight(some, action);
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
    assert.ok(coversAll(key('admin', 'all'), ['*']));
    assert.ok(coversAll(key('admin', new Set(['a', 'b'])), ['a']));
    for (const beyond of [['*'], ['a', '*'], ['c'], ['a', 'c'], []]) assert.ok(!coversAll(key('admin', new Set(['a', 'b'])), beyond));
  });
});
