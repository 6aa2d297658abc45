import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { TerminationPolicy } from '@evenfall/contracts/v1/termination';
import { eventPolicyOf } from '@evenfall/function-model';
import { durationOfMs, isUuid, timeOfUuidV7 } from '@evenfall/time';
import { pageSizeOf } from '@evenfall/paging';
import { boundedMs, eventIdOf } from './fields.ts';
import { checkFunctionName, qualifierOf } from './names.ts';
import { checkedPayload } from './payload.ts';
import { newEventOf, traceparentOf } from './submission.ts';
import { checkCallPolicy } from './termination.ts';
import { callTimeoutMs, LIMITS_MS } from './time-limits.ts';

const FN = FunctionMessage.create({ namespace: 'default', name: 'f1', version: '3', revision: 9 });
const CONTEXT = { fn: FN, policy: eventPolicyOf(FN), qualifier: '3', traceparent: '', maxPayloadBytes: 16 };
const SUBMISSION = { payload: Buffer.from('[1]'), idempotencyKey: '', delay: undefined };

describe('what the gateway decides by itself', () => {
  it('knows names', () => {
    for (const name of ['ab', 'A-b_9', 'a'.repeat(60)]) checkFunctionName('default', name);
    for (const name of ['', 'a', '1a', 'a-', 'a_', 'a b', 'ä1', 'a'.repeat(61)]) {
      assert.throws(() => checkFunctionName('default', name), { reason: 'INVALID_NAME' }, name);
    }
    assert.equal(qualifierOf(''), '$LATEST');
    for (const qualifier of ['$LATEST', '$DEFAULT', '12', 'prod', 'p']) assert.equal(qualifierOf(qualifier), qualifier);
    for (const qualifier of ['$OTHER', '-1', '1a', 'a/b']) assert.throws(() => qualifierOf(qualifier), { reason: 'INVALID_NAME' });
  });

  it('waits for a synchronous call no longer than it may take: 900 s, whatever the function’s timeout', () => {
    assert.equal(callTimeoutMs(10_000), 10_000 + 65_000 + 3_000 + LIMITS_MS.invokeSlack);
    assert.equal(callTimeoutMs(0, 5_000, 86_400_000), 5_000 + 900_000 + LIMITS_MS.invokeSlack);
  });

  it('keeps a payload to the byte, and takes nothing for null', () => {
    const payload = Buffer.from(' {"a": 1.0}\n');
    assert.equal(checkedPayload(payload, 100), payload);
    assert.equal(checkedPayload(Buffer.alloc(0), 0).toString(), 'null');
    assert.equal(checkedPayload(Buffer.from('1'.repeat(16)), 16).length, 16);
    assert.throws(() => checkedPayload(Buffer.from('1'.repeat(17)), 16), { reason: 'PAYLOAD_TOO_LARGE' });
    for (const text of ['{', "'a'", '\ufeff1', 'NaN', '1 2', ' '])
      assert.throws(() => checkedPayload(Buffer.from(text), 16), { reason: 'PAYLOAD_NOT_JSON' });
  });

  it('does not repeat a secret payload in its refusal', () => {
    assert.throws(
      () => checkedPayload(Buffer.from('{"password": "hunter2"'), 100),
      (error: Error) => !error.message.includes('hunter2'),
    );
  });

  it('makes ids that tell the time, and keyed ids that tell the key', () => {
    const free = newEventOf(SUBMISSION, CONTEXT);
    assert.ok(timeOfUuidV7(free.eventId) !== undefined && free.accepted?.keyed === false);
    const keyed = (idempotencyKey: string, name = 'f1') =>
      newEventOf({ ...SUBMISSION, idempotencyKey }, { ...CONTEXT, fn: { ...FN, name } }).eventId;
    assert.ok(isUuid(keyed('k')));
    assert.equal(keyed('k'), keyed('k'));
    assert.notEqual(keyed('k'), keyed('l'));
    assert.notEqual(keyed('k'), keyed('k', 'f2'));
    assert.throws(() => keyed('a\nb'), { reason: 'INVALID_FIELD' });
  });

  it('delays by less than the age an event may reach: else it could only expire', () => {
    assert.equal(newEventOf({ ...SUBMISSION, delay: durationOfMs(0) }, CONTEXT).delay, undefined);
    assert.deepEqual(newEventOf({ ...SUBMISSION, delay: durationOfMs(21_599_000) }, CONTEXT).delay, durationOfMs(21_599_000));
    for (const ms of [-1, 21_599_001, 21_600_000])
      assert.throws(() => newEventOf({ ...SUBMISSION, delay: durationOfMs(ms) }, CONTEXT), { reason: 'INVALID_FIELD' });
    assert.throws(() => boundedMs('x', { seconds: 0n, nanos: -5 }, 0, 1), { reason: 'INVALID_FIELD' });
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

  it('checks what a call may ask of a termination', () => {
    checkCallPolicy(false, undefined);
    checkCallPolicy(true, TerminationPolicy.create({ gracePeriod: { seconds: 0n }, escalation: [{ signal: 2, wait: { seconds: 1n } }] }));
    for (const policy of [
      { killSignal: 9 as const },
      { gracePeriod: { seconds: -1n } },
      { escalation: [{ signal: 15 as const, wait: { seconds: 601n } }] },
    ]) {
      assert.throws(() => checkCallPolicy(true, TerminationPolicy.create(policy)), { reason: 'INVALID_FIELD' });
    }
  });

  it('reads ids and page sizes', () => {
    const id = '01990000-0000-7000-8000-00000000ABCD';
    assert.equal(eventIdOf(id), id.toLowerCase());
    assert.equal(eventIdOf(`${id} `), undefined);
    assert.deepEqual(
      [0, 7, 1_000].map((asked) => pageSizeOf(asked, { default: 20, most: 100 })),
      [20, 7, 100],
    );
  });
});
