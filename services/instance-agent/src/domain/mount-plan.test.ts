import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { coversOf, foldersDownTo } from './mount-plan.ts';
import { uidPool, uidRangeOf } from './uid-pool.ts';

describe('What a function gets to see', () => {
  it('is nothing of a hidden folder but what it needs, each folder once', () => {
    const hidden = ['/tmp', '/tmp/agent', '/root', '/tmp'];
    const needs = ['/tmp/agent/code/a', '/root/node/bin', '/root/node', '/usr/bin', '/tmpfiles'];
    assert.deepEqual(coversOf(hidden, needs), [
      { path: '/root', kept: ['/root/node'] },
      { path: '/tmp', kept: ['/tmp/agent/code/a'] },
    ]);
    assert.deepEqual(coversOf([], needs), []);
    assert.deepEqual(foldersDownTo('/a/b'), ['/', '/a', '/a/b']);
  });
});

describe('User ids', () => {
  it('are claimed once at a time, and rest as long as possible', () => {
    const pool = uidPool({ first: 5000, last: 5002 });
    assert.deepEqual([pool.claim(), pool.claim()], [5000, 5001]);
    pool.release(5000);
    assert.deepEqual([pool.claim(), pool.claim(), pool.claim()], [5002, 5000, undefined]);
  });

  it('come from a range above those of people and services', () => {
    assert.deepEqual(uidRangeOf('900000-909999'), { first: 900_000, last: 909_999 });
    for (const text of ['999-2000', '2000-1000', '5000-5003', '0-0', 'a-b']) assert.throws(() => uidRangeOf(text), /EVENFALL_AGENT_UIDS/);
  });
});
