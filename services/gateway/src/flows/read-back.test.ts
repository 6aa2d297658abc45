import { ADMIN_OF_ALL } from '@evenfall/access';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { isRefusal, refuse } from '@evenfall/errors';
import { silentLog } from '@evenfall/telemetry';
import { durationOfMs, fakeClock } from '@evenfall/time';
import { createQueueRouter } from '../adapters/queue-router.ts';
import type { Caller, Gateway } from '../ports.ts';
import { RUNNABLE } from '../testing/complete.ts';
import { fakeWorld, type World } from '../testing/fakes.ts';
import { batchCreateEvents } from './batch-create-events.ts';
import { createEvent } from './create-event.ts';
import { streamCreateEvents } from './stream-create-events.ts';

const CALLER: Caller = {
  requester: 'ann',
  access: { id: 'ann', ...ADMIN_OF_ALL },
  signal: new AbortController().signal,
  traceparent: '',
  audited: undefined,
};
const NAMED = { namespace: 'default', function: 'killer', qualifier: '' };
const FIRST = { payload: Buffer.from('"first"'), idempotencyKey: 'k', delay: undefined };

const notHere = (): Promise<never> => Promise.reject(new Error('nothing is large here'));

function start(uid = 'one'): { world: World; gateway: Gateway; rename(uid: string): void } {
  const world = fakeWorld();
  const rename = (to: string): void => void world.functions.set('default/killer', { ...RUNNABLE, uid: to });
  rename(uid);
  const resolve = async (namespace: string, name: string): Promise<FunctionMessage> => {
    const fn = world.functions.get(`${namespace}/${name}`);
    if (!fn) throw refuse('FUNCTION_NOT_FOUND', { namespace, function: name });
    return fn;
  };
  const gateway: Gateway = {
    ...world.ports,
    log: silentLog,
    queue: createQueueRouter(world.ports),
    keys: { find: () => undefined, isOwn: () => false, endOf: () => undefined, isWatching: true },
    cache: { resolve, forget: () => undefined, isWatching: true },
    clock: fakeClock(),
    bodies: { batch: notHere, extract: notHere, check: notHere },
    limits: { maxPayloadBytes: 1_000, maxSyncPayloadBytes: 1_000 },
  };
  return { world, gateway, rename };
}
const reasonOf = (error: unknown): string => (isRefusal(error) ? error.reason : String(error));

describe('an idempotency key that comes again', () => {
  it('is answered with the current event', async () => {
    const { world, gateway } = start();
    const { event } = await createEvent(gateway, CALLER, { ...NAMED, submission: FIRST });
    assert.ok(event);
    world.events.set(event.id, { ...event, state: 4, createTime: new Date(7) });
    const again = await createEvent(gateway, CALLER, { ...NAMED, submission: FIRST });
    assert.deepEqual([again.event?.id, again.event?.state, again.event?.createTime], [event.id, 4, new Date(7)]);
  });

  const others: readonly (readonly [string, object, string])[] = [
    ['another payload', { payload: Buffer.from('"SECOND"') }, ''],
    ['a payload that is written otherwise', { payload: Buffer.from(' "first"') }, ''],
    ['another delay', { delay: durationOfMs(1_000) }, ''],
    ['another qualifier', {}, '1'],
  ];
  for (const [what, more, qualifier] of others)
    it(`is refused with ${what}, and says both digests`, async () => {
      const { gateway } = start();
      const { event } = await createEvent(gateway, CALLER, { ...NAMED, submission: FIRST });
      const second = createEvent(gateway, CALLER, { ...NAMED, qualifier, submission: { ...FIRST, ...more } });
      await assert.rejects(second, (error) => {
        assert.ok(isRefusal(error));
        assert.equal(error.reason, 'IDEMPOTENCY_KEY_REUSED');
        assert.equal(error.metadata['event_id'], event?.id);
        assert.equal(error.metadata['accepted_sha256'], event?.requestSha256);
        assert.match(error.metadata['request_sha256'] ?? '', /^[0-9a-f]{64}$/);
        assert.notEqual(error.metadata['request_sha256'], error.metadata['accepted_sha256']);
        return true;
      });
    });

  it('is another one for a function that was made anew', async () => {
    const { gateway, rename } = start();
    const { event } = await createEvent(gateway, CALLER, { ...NAMED, submission: FIRST });
    rename('two');
    const other = await createEvent(gateway, CALLER, { ...NAMED, submission: { ...FIRST, payload: Buffer.from('2') } });
    assert.notEqual(other.event?.id, event?.id);
  });

  it('is taken for the same of an event that has no digest, from an earlier release', async () => {
    const { world, gateway } = start();
    const { event } = await createEvent(gateway, CALLER, { ...NAMED, submission: FIRST });
    assert.ok(event);
    world.events.set(event.id, { ...event, requestSha256: undefined });
    const again = await createEvent(gateway, CALLER, { ...NAMED, submission: { ...FIRST, payload: Buffer.from('2') } });
    assert.equal(again.event?.id, event.id);
  });

  it('is answered 503 where its owner cannot be determined', async () => {
    for (const reason of ['VIEW_UNAVAILABLE', 'DEADLINE_EXCEEDED', 'SERVICE_UNAVAILABLE', 'EVENT_NOT_FOUND'] as const) {
      const { gateway } = start();
      const getEvent = () => Promise.reject(refuse(reason, { detail: 'played', event_id: '' }));
      const unavailable: Gateway = { ...gateway, eventStore: { ...gateway.eventStore, getEvent, getRequestDigests: getEvent } };
      const error: unknown = await createEvent(unavailable, CALLER, { ...NAMED, submission: FIRST }).catch((e: unknown) => e);
      assert.ok(isRefusal(error) && error.httpStatus === 503, reasonOf(error));
      const all = batchCreateEvents(unavailable, CALLER, { ...NAMED, submissions: [FIRST] });
      await assert.rejects(all, (e) => isRefusal(e) && e.httpStatus === 503);
      const mixed = await batchCreateEvents(unavailable, CALLER, { ...NAMED, submissions: [FIRST, { ...FIRST, idempotencyKey: '' }] });
      assert.deepEqual(
        mixed.eventIds.map((id) => id === ''),
        [true, false],
        'what has no key is accepted, and must not be sent again',
      );
    }
  });

  it('answers for itself in a batch, whichever came first, and over a stream', async () => {
    const { gateway } = start();
    const other = { ...FIRST, payload: Buffer.from('2') };
    const keyless = { ...FIRST, idempotencyKey: '' };
    const submissions = [keyless, FIRST, other, FIRST, { ...other, idempotencyKey: 'other' }];
    const { eventIds, refused } = await batchCreateEvents(gateway, CALLER, { ...NAMED, submissions });
    assert.deepEqual(
      refused.map(({ index, reason }) => [index, reason]),
      [[2, 'IDEMPOTENCY_KEY_REUSED']],
    );
    assert.deepEqual([eventIds[2], eventIds[1] === eventIds[3], new Set(eventIds).size], ['', true, 4]);
    const batches = async function* () {
      yield { batch: { ...NAMED, submissions: [keyless, keyless] } };
      yield { batch: { ...NAMED, submissions: [other, FIRST] } };
    };
    const streamed = await streamCreateEvents(gateway, CALLER, batches());
    assert.deepEqual(
      streamed.refused.map(({ index }) => index),
      [2],
    );
    assert.equal(streamed.eventIds[3], eventIds[1]);
  });

  it('is not asked after for an event without one', async () => {
    const { world, gateway } = start();
    const refused = () => Promise.reject(new Error('asked'));
    const unavailable: Gateway = { ...gateway, eventStore: { ...gateway.eventStore, getEvent: refused, getRequestDigests: refused } };
    await createEvent(unavailable, CALLER, { ...NAMED, submission: { ...FIRST, idempotencyKey: '' } });
    await batchCreateEvents(unavailable, CALLER, { ...NAMED, submissions: [{ ...FIRST, idempotencyKey: '' }] });
    assert.equal(world.accepted.length, 2);
  });
});
