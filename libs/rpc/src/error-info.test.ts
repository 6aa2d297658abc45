import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { REASONS, refuse, type Reason } from '@evenfall/errors';
import fc from 'fast-check';
import { decodeStatus, encodeStatus } from './error-info.ts';

/** One message as other implementations of google.rpc.Status write it: code 8, a message, an ErrorInfo, and a RetryInfo of 1.5 s. */
const ENCODED = [
  '0808',
  '12' + hex('LANE'),
  '1a' +
    sized('0a' + hex('type.googleapis.com/google.rpc.ErrorInfo') + '12' + sized('0a' + hex('RATE_LIMITED') + '1208' + text('evenfall'))),
  '1a' + sized('0a' + hex('type.googleapis.com/google.rpc.RetryInfo') + '12' + sized('0a' + sized('0801' + '1080cab5ee01'))),
].join('');

function text(value: string): string {
  return Buffer.from(value).toString('hex');
}
function sized(value: string): string {
  return (value.length / 2).toString(16).padStart(2, '0') + value;
}
function hex(value: string): string {
  return sized(text(value));
}

describe('the status of a refusal', () => {
  it('holds the reason and the metadata of every refusal', () => {
    const reasons = Object.keys(REASONS) as Reason[]; // its own keys
    // Not `__proto__`: keys are names that the platform gives, and the decoder sets them as properties of an object.
    const key = fc.stringMatching(/^[a-z_]{1,20}$/).filter((name) => name !== '__proto__');
    const metadata = fc.dictionary(key, fc.string({ unit: 'grapheme' }));
    fc.assert(
      fc.property(fc.constantFrom(...reasons), metadata, (reason, values) => {
        const decoded = decodeStatus(encodeStatus(refuse(reason, values)));
        assert.equal(decoded?.reason, reason);
        assert.deepEqual({ ...decoded.metadata }, { ...values });
      }),
    );
  });

  it('is read from what others write', () => assert.equal(decodeStatus(Buffer.from(ENCODED, 'hex'))?.reason, 'RATE_LIMITED'));

  it('says when to retry, where that is known and a retry can succeed', () => {
    const url = 'google.rpc.RetryInfo';
    const limited = encodeStatus(refuse('RATE_LIMITED', { retry_after_ms: 1_500 }));
    assert.ok(limited.includes(url));
    assert.ok(limited.includes(Buffer.from('08011080cab5ee01', 'hex')), '1 s and 500,000,000 ns');
    assert.ok(!encodeStatus(refuse('RATE_LIMITED')).includes(url));
    assert.ok(!encodeStatus(refuse('BURST_EXCEEDED', { retry_after_ms: 1_500 })).includes(url));
  });

  it('is none in bytes that are no status, and never an exception', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => assert.equal(decodeStatus(bytes), undefined)));
    const whole = encodeStatus(refuse('RATE_LIMITED', { retry_after_ms: 1_500 }));
    for (let end = 0; end < whole.length; end++) assert.doesNotThrow(() => decodeStatus(whole.subarray(0, end)));
  });
});
