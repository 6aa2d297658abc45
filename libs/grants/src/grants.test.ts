import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createGrants, GRANT_BYTES, grantedAttempt, hmacSha256 } from './grants.ts';

describe('Grants', () => {
  test('are made by HMAC-SHA-256, whatever the key and the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii', maxLength: 64 }), fc.array(fc.string({ unit: 'binary' })), (key, texts) => {
        const mac = hmacSha256(key);
        // Several by one function: nothing of a text stays for the next.
        for (const text of texts) assert.deepEqual(mac(text), createHmac('sha256', key).update(text).digest());
      }),
    );
  });

  test('take no key that would not be used byte by byte', () => {
    for (const key of ['é', 'k'.repeat(65), '\x80']) assert.throws(() => hmacSha256(key));
  });

  test('are valid for the thing and the agent they were issued for, under every key, and for nothing else', () => {
    const [old, key, other] = [randomBytes(32), randomBytes(32), randomBytes(32)];
    const [grants, later, foreign] = [createGrants(), createGrants(), createGrants()];
    grants.use([old]);
    later.use([key, old]);
    foreign.use([other]);
    const granted = grantedAttempt({ eventId: 'event', attempt: 1, partition: 3 });
    const { bytes, issuedMs } = grants.sign(granted, 'agent-1', 1_000);
    assert.equal(bytes.length, GRANT_BYTES);
    assert.equal(later.check(granted, 'agent-1', bytes), issuedMs);
    assert.equal(foreign.check(granted, 'agent-1', bytes), undefined);
    assert.equal(grants.check(granted, 'agent-2', bytes), undefined);
    for (const wrong of [{ eventId: 'event2' }, { attempt: 2 }, { partition: undefined }])
      assert.equal(grants.check(grantedAttempt({ eventId: 'event', attempt: 1, partition: 3, ...wrong }), 'agent-1', bytes), undefined);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      assert.equal(grants.check(granted, 'agent-1', changed), undefined, `bit ${bit}`);
    }
    assert.ok(grants.sign(granted, 'agent-1', 0).issuedMs > issuedMs, 'each is newer than the one before');
  });
});
