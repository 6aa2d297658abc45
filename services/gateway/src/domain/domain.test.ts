import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { isRefusal, orThrow } from '@evenfall/errors';
import { eventPolicyOf } from '@evenfall/function-model';
import { durationOfMs, isUuid, timeOfUuidV7 } from '@evenfall/time';
import { pageSizeOf } from '@evenfall/paging';
import { eventIdOf } from './fields.ts';
import { acceptedPayload } from './payload.ts';
import { eventToAccept, traceparentOf } from './submission.ts';

const FN = FunctionMessage.create({ namespace: 'default', name: 'f1', version: '3', revision: 9 });
const CONTEXT = { fn: FN, policy: eventPolicyOf(FN), qualifier: '3', traceparent: '', maxPayloadBytes: 16 };
const SUBMISSION = { payload: Buffer.from('[1]'), idempotencyKey: '', delay: undefined };

const created = (...given: Parameters<typeof eventToAccept>) => orThrow(eventToAccept(...given));
const reasonOf = (value: unknown) => (isRefusal(value) ? value.reason : undefined);

describe('what the gateway decides by itself', () => {
  it('keeps a payload to the byte, and reads an empty one as null', () => {
    const payload = Buffer.from(' {"a": 1.0}\n');
    assert.equal(acceptedPayload(payload, 100), payload);
    assert.deepEqual(acceptedPayload(Buffer.alloc(0), 0), Buffer.from('null'));
    assert.deepEqual(acceptedPayload(Buffer.from('1'.repeat(16)), 16), Buffer.from('1'.repeat(16)));
    assert.equal(reasonOf(acceptedPayload(Buffer.from('1'.repeat(17)), 16)), 'PAYLOAD_TOO_LARGE');
    for (const text of ['{', "'a'", '\ufeff1', 'NaN', '1 2', ' '])
      assert.equal(reasonOf(acceptedPayload(Buffer.from(text), 16)), 'PAYLOAD_NOT_JSON');
  });

  it('does not repeat a secret payload in its refusal', () => {
    const refusal = acceptedPayload(Buffer.from('{"password": "hunter2"'), 100);
    assert.ok(isRefusal(refusal) && !refusal.message.includes('hunter2'));
  });

  it('makes ids that contain the time, and keyed ids that depend on the key', () => {
    const free = created(SUBMISSION, CONTEXT);
    assert.ok(timeOfUuidV7(free.eventId) !== undefined && free.accepted?.keyed === false);
    const keyed = (idempotencyKey: string, name = 'f1') =>
      created({ ...SUBMISSION, idempotencyKey }, { ...CONTEXT, fn: { ...FN, name } }).eventId;
    assert.ok(isUuid(keyed('k')));
    assert.equal(keyed('k'), keyed('k'));
    assert.notEqual(keyed('k'), keyed('l'));
    assert.notEqual(keyed('k'), keyed('k', 'f2'));
    assert.equal(reasonOf(eventToAccept({ ...SUBMISSION, idempotencyKey: 'a\nb' }, CONTEXT)), 'INVALID_FIELD');
  });

  it('delays by less than the age an event may reach: else it could only expire', () => {
    assert.equal(created({ ...SUBMISSION, delay: durationOfMs(0) }, CONTEXT).delay, undefined);
    assert.deepEqual(created({ ...SUBMISSION, delay: durationOfMs(21_599_000) }, CONTEXT).delay, durationOfMs(21_599_000));
    for (const delay of [...[-1, 21_599_001, 21_600_000].map(durationOfMs), { seconds: 0n, nanos: -5 }])
      assert.equal(reasonOf(eventToAccept({ ...SUBMISSION, delay }, CONTEXT)), 'INVALID_FIELD');
  });

  it("takes an event's policy from its function", () => {
    const fn = FunctionMessage.create({
      eventInvoke: { maxRetries: 0, retryInterval: { seconds: 1n } },
      termination: { maxGracePeriod: { seconds: 3n } },
    });
    const { onSuccess, onFailure, ...policy } = eventPolicyOf(fn);
    assert.deepEqual(policy, { maxRetries: 0, retryIntervalMs: 1_000, maxEventAgeMs: 21_600_000, maxGracePeriodMs: 3_000 });
    assert.deepEqual([onSuccess, onFailure], [undefined, undefined]);
  });

  it('passes a trace context on only when it is one', () => {
    const good = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    assert.equal(traceparentOf(good), good);
    for (const bad of [undefined, '', 'x', good.toUpperCase(), `ff${good.slice(2)}`]) assert.equal(traceparentOf(bad), '');
  });

  it('reads ids and page sizes', () => {
    const id = '01990000-0000-7000-8000-00000000ABCD';
    assert.equal(eventIdOf(id), id.toLowerCase());
    assert.equal(reasonOf(eventIdOf(`${id} `)), 'EVENT_NOT_FOUND');
    assert.deepEqual(
      [0, 7, 1_000].map((asked) => pageSizeOf(asked, { default: 20, most: 100 })),
      [20, 7, 100],
    );
  });
});
