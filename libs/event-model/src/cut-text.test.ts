import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { cutBytes, cutMiddle, cutText } from './cut-text.ts';

const anyText = fc.string({ unit: 'binary', maxLength: 2_000 });
const room = fc.integer({ min: 64, max: 600 });

describe('a text that is cut', () => {
  it('says how long it was', () => {
    assert.equal(cutText('x'.repeat(100), 64), `${'x'.repeat(40)}… [cut from 100 bytes]`);
    assert.equal(cutText('x'.repeat(64), 64), 'x'.repeat(64));
    assert.match(cutMiddle(`begin${'x'.repeat(8_000_000)}end`, 100), /^beginx+… \[cut from 8000008 bytes\] … x+end$/);
  });

  it('fits, keeps what fits already, and breaks no character', () => {
    fc.assert(
      fc.property(anyText, room, (text, maxBytes) => {
        for (const cut of [cutText, cutMiddle]) {
          const short = cut(text, maxBytes);
          assert.ok(Buffer.byteLength(short) <= maxBytes);
          assert.equal(cut(short, maxBytes), short);
          if (Buffer.byteLength(text) <= maxBytes) assert.equal(short, text);
          assert.ok(short.isWellFormed());
        }
      }),
    );
  });

  it('may hold lone surrogates', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0xd7ff, max: 0xe000 }), { maxLength: 400 }), room, (units, maxBytes) => {
        const text = String.fromCharCode(...units);
        for (const cut of [cutText, cutMiddle]) assert.ok(Buffer.byteLength(cut(text, maxBytes)) <= maxBytes);
      }),
    );
  });

  it('is UTF-8 after it was cut as bytes', () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 0, max: 600 }), (text, maxBytes) => {
        const whole = Buffer.from(text);
        const cut = cutBytes(whole, maxBytes);
        assert.ok(cut.length <= maxBytes && cut.length > Math.min(whole.length, maxBytes) - 4);
        assert.ok(cut.toString('utf8').length === 0 || whole.toString('utf8').startsWith(cut.toString('utf8')));
      }),
    );
  });
});
