import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { agentIdentity, identitiesOf, identityUri, isIdentity } from './index.ts';

describe('An identity', () => {
  it('is the name of a service, or that of an agent', () => {
    for (const good of ['gateway', 'event-store', agentIdentity('agent-1'), 'agent/0190b8a0-0000-7000-8000-000000000000'])
      assert.ok(isIdentity(good), good);
    for (const bad of [
      '',
      'agent',
      'agent/',
      'agent/a/b',
      'agent/../queue',
      'Queue',
      'queue ',
      'gateway/1',
      `agent/${'a'.repeat(200)}`,
      'agent/-a',
      'agent/a b',
    ])
      assert.ok(!isIdentity(bad), bad);
  });

  it('is read from the names of a certificate, and from nothing that looks like one', () => {
    assert.deepEqual(identitiesOf(`DNS:queue, URI:${identityUri('queue')}, IP Address:127.0.0.1`), ['queue']);
    assert.deepEqual(identitiesOf(`URI:${identityUri('queue')}, URI:${identityUri('agent/a')}`), ['queue', 'agent/a']);
    for (const none of [
      undefined,
      '',
      'DNS:queue',
      'URI:spiffe://other/queue',
      'DNS:URI:spiffe://evenfall/queue',
      'URI:"spiffe://evenfall/queue"',
      'URI:https://spiffe://evenfall/queue',
      'email:URI:spiffe://evenfall/queue',
    ])
      assert.deepEqual(identitiesOf(none), [], none);
  });
});
