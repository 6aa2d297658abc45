import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { refuse } from '@evenfall/errors';
import { decoding, messageOf } from './large-messages.ts';

const SMALL = Buffer.alloc(256 * 1024);
const LARGE = Buffer.alloc(256 * 1024 + 1);

describe('messages', () => {
  it('are decoded as they come where they are small, and in a turn of their own where they are large', async () => {
    const decoded: number[] = [];
    const decode = decoding((bytes) => decoded.push(bytes.length), undefined);
    decode(SMALL);
    assert.deepEqual(decoded, [SMALL.length]);
    const large = decode(LARGE);
    const turns: string[] = [];
    const done = messageOf(large).then(() => turns.push('message'));
    assert.deepEqual(decoded, [SMALL.length]);
    setImmediate(() => turns.push(`turn, decoded ${decoded.length - 1}`));
    await done;
    assert.deepEqual(decoded, [SMALL.length, LARGE.length]);
    assert.deepEqual(turns, ['turn, decoded 1', 'message']);
  });

  it('that have a fault, or that cannot be decoded, are refused', async () => {
    const no = refuse('INVALID_REQUEST', { detail: 'a fault' });
    for (const bytes of [SMALL, LARGE]) {
      const given = decoding(
        () => assert.fail('decoded'),
        () => no,
      )(bytes);
      await assert.rejects(messageOf(given), no);
    }
    const broken = decoding(() => {
      throw new Error('premature end');
    }, undefined);
    await assert.rejects(messageOf(broken(LARGE)), { reason: 'INVALID_REQUEST' });
    assert.equal(await messageOf('a message'), 'a message');
  });
});
