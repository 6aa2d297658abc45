import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Delivery_State as State } from '@evenfall/contracts/v1/event';
import { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { deliveryDocument } from './delivery-document.ts';
import { decideDelivery } from './delivery-outcome.ts';
import { webhookOutcome } from './webhook.ts';

const NOW = Date.UTC(2026, 0, 1);
const HOUR_MS = 3_600_000;

describe('An attempt at a delivery', () => {
  const retry = (attempts: number, random = 0.5, notBeforeMs = 0) =>
    decideDelivery({ kind: 'RETRY', error: 'no', notBeforeMs }, attempts, NOW, NOW, random);

  it('is followed by another after a pause that doubles from 1 s to 5 min, with full jitter', () => {
    const ceilings = [1, 2, 3, 9, 10, 200].map((attempts) => ((retry(attempts, 0.999999).retryMs ?? 0) - NOW) / 1_000);
    assert.deepEqual(ceilings.map(Math.round), [1, 2, 4, 256, 300, 300]);
    assert.equal(retry(9, 0).retryMs, NOW);
    assert.equal(retry(1, 0.5, NOW + 60_000).retryMs, NOW + 60_000, 'or when it was asked to');
  });

  it('is written down when its number is a power of two, or nothing follows', () => {
    const written = Array.from({ length: 20 }, (_, i) => i + 1).filter((attempts) => retry(attempts).attempted);
    assert.deepEqual(written, [1, 2, 4, 8, 16]);
    const last = decideDelivery({ kind: 'RETRY', error: 'x'.repeat(9_000), notBeforeMs: 0 }, 7, NOW - 6 * HOUR_MS + 1, NOW, 0.5);
    assert.deepEqual([last.retryMs, last.attempted?.state, last.attempted?.error.length], [undefined, State.FAILED, 500]);
  });
});

describe('The answer of a webhook', () => {
  const outcome = (status: number, retryAfter?: string) => webhookOutcome({ kind: 'ANSWERED', status, retryAfter, text: '' }, NOW);

  it('is a yes, a no, or not now', () => {
    for (const status of [200, 202, 204, 299]) assert.equal(outcome(status).kind, 'DELIVERED', String(status));
    for (const status of [400, 401, 404, 410, 422, 499]) assert.equal(outcome(status).kind, 'GIVE_UP', String(status));
    for (const status of [301, 307, 408, 425, 429, 500, 503]) assert.equal(outcome(status).kind, 'RETRY', String(status));
  });

  it('may ask for a pause, of an hour at most', () => {
    const after = (text?: string) => {
      const found = outcome(503, text);
      return found.kind === 'RETRY' && found.notBeforeMs > 0 ? (found.notBeforeMs - NOW) / 1_000 : 0;
    };
    assert.deepEqual(
      ['7', '86400', new Date(NOW + 9_000).toUTCString(), 'soon', '-1', new Date(0).toUTCString()].map(after),
      [7, 3_600, 9, 0, 0, 0],
    );
    assert.equal(after(), 0);
  });
});

describe('What a destination receives', () => {
  it('has JSON as it was, and text for what was cut', () => {
    const event = { id: 'e', state: 4 as const, result: Buffer.from('1e400'), error: Buffer.from('{"message":"cu'), resultTruncated: true };
    const folded = FoldedEvent.fromPartial({ event, payload: Buffer.from('{ "n": 12345678901234567890 }') });
    const text = deliveryDocument(folded).toString();
    assert.match(text, /"payload":\{ "n": 12345678901234567890 \}\}$/);
    assert.match(text, /"result":1e400,"error":"\{\\"message\\":\\"cu"/);
    assert.deepEqual(Object.keys((JSON.parse(text) as { event: object }).event), [
      ...['id', 'namespace', 'function', 'version', 'qualifier', 'trigger', 'state', 'status_code', 'result', 'error'],
      ...['result_truncated', 'create_time', 'start_time', 'end_time', 'attempt_count'],
    ]);
  });
});
