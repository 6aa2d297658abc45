import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { EventServiceService, type WatchEventResponse } from '@evenfall/contracts/v1/event_service';
import { SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import type { DispatchRequest } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { isRefusal, refuse } from '@evenfall/errors';
import { eventually } from '@evenfall/testkit';
import { type ClientOf, type Implementation, pushable } from './index.ts';

/** What is between caller and service in one way of calling. */
export type Wiring = {
  readonly events: ClientOf<EventServiceService>;
  readonly scheduler: ClientOf<SchedulerServiceService>;
  close(): Promise<void>;
};

/** What the wired services have seen. */
const seen = { batches: 0, arrived: 0, cancelled: 0, left: 0, unexpected: 0, header: '' as string | undefined };

const unimplemented = (): never => {
  throw refuse('UNIMPLEMENTED', { detail: 'not in this test' });
};

const events: Implementation<EventServiceService> = {
  async createEvent(request, context) {
    seen.header = context.header('authorization');
    if (request.function === 'missing') throw refuse('FUNCTION_NOT_FOUND', { namespace: request.namespace, function: 'missing' });
    if (request.function === 'accident') throw new TypeError('an unexpected failure');
    if (request.function === 'slow') {
      seen.arrived++;
      await new Promise<void>((resolve) => context.signal.addEventListener('abort', () => resolve(), { once: true }));
      seen.cancelled++;
    }
    return { event: undefined };
  },
  countEvents: unimplemented,
  listDeadLetters: unimplemented,
  getDeadLetter: unimplemented,
  redriveDeadLetter: unimplemented,
  purgeDeadLetter: unimplemented,
  batchCreateEvents: async (request) => ({ eventIds: request.submissions.map((one) => one.payload.toString()), refused: [] }),
  async streamCreateEvents(requests) {
    const eventIds: string[] = [];
    for await (const { batch } of requests) {
      seen.batches++;
      eventIds.push(...(batch?.submissions.map((one) => one.payload.toString()) ?? []));
    }
    return { eventIds, refused: [] };
  },
  async *watchEvent(request, { signal }) {
    try {
      for (let version = 1; !signal.aborted; version++) {
        if (version > request.afterVersion && request.afterVersion > 0) throw refuse('EVENT_NOT_FOUND', { event_id: request.id });
        yield { event: undefined, version };
        if (request.id === 'three' && version === 3) return;
        await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      seen.left++;
    }
  },
  getEvent: unimplemented,
  listEvents: unimplemented,
  terminateEvent: unimplemented,
};

const scheduler: Implementation<SchedulerServiceService> = {
  async *dispatch(requests) {
    for await (const { acks } of requests) {
      yield {
        reports: acks.map((ack): AttemptReport => ({ ...ack, report: { $case: 'revoked', value: {} } })),
        claims: [],
        agents: undefined,
      };
    }
  },
  attach: unimplemented,
  invoke: unimplemented,
  getProvisioned: unimplemented,
  drainAgent: unimplemented,
  listAgents: unimplemented,
  listInstances: unimplemented,
  noteFunctionChange: unimplemented,
  renewLease: unimplemented,
};

/** One suite for every way of calling: all behave alike. */
export function rpcContract(
  way: string,
  wire: (
    events: Implementation<EventServiceService>,
    scheduler: Implementation<SchedulerServiceService>,
    onUnexpected: () => void,
  ) => Promise<Wiring>,
): void {
  describe(`rpc: ${way}`, () => {
    let wiring: Wiring;
    before(async () => {
      wiring = await wire(events, scheduler, () => seen.unexpected++);
    });
    after(() => wiring.close());
    const call = (fn: string) => ({ namespace: 'default', function: fn, qualifier: '', submission: undefined });

    test('a call is answered, and carries headers', async () => {
      await wiring.events.createEvent(call('f'), { headers: { authorization: 'Bearer a:b' } });
      assert.equal(seen.header, 'Bearer a:b');
    });

    test('a refusal arrives as the refusal it was', async () => {
      const error: unknown = await wiring.events.createEvent(call('missing')).catch((e: unknown) => e);
      assert.ok(isRefusal(error));
      assert.equal(error.reason, 'FUNCTION_NOT_FOUND');
      assert.deepEqual(error.metadata, { namespace: 'default', function: 'missing' });
      assert.match(error.message, /no function "missing" in namespace "default"/);
    });

    test('an unexpected failure is INTERNAL for the caller and reported to the operator', async () => {
      const before = seen.unexpected;
      await assert.rejects(wiring.events.createEvent(call('accident')), { reason: 'INTERNAL' });
      assert.equal(seen.unexpected, before + 1);
    });

    test('a deadline ends the call on both sides', async () => {
      const before = seen.cancelled;
      await assert.rejects(wiring.events.createEvent(call('slow'), { timeoutMs: 50 }), { reason: 'DEADLINE_EXCEEDED' });
      await eventually(() => seen.cancelled === before + 1);
    });

    test('a cancelled call ends on both sides', async () => {
      const before = { ...seen };
      const controller = new AbortController();
      const answer = wiring.events.createEvent(call('slow'), { signal: controller.signal });
      const rejected = assert.rejects(answer, { reason: 'CANCELLED' });
      await eventually(() => seen.arrived === before.arrived + 1); // one that is cancelled before that never gets there
      controller.abort();
      await rejected;
      await eventually(() => seen.cancelled === before.cancelled + 1);
    });

    test('a response stream ends', async () => {
      const versions: number[] = [];
      for await (const change of wiring.events.watchEvent({ id: 'three', afterVersion: 0 })) versions.push(change.version);
      assert.deepEqual(versions, [1, 2, 3]);
    });

    test('a stream that is left notifies its handler', async () => {
      const before = seen.left;
      for await (const change of wiring.events.watchEvent({ id: 'endless', afterVersion: 0 })) if (change.version === 5) break;
      await eventually(() => seen.left === before + 1);
    });

    test('a stream that fails gives what came before, then the refusal', async () => {
      const got: WatchEventResponse[] = [];
      await assert.rejects(
        async () => {
          for await (const change of wiring.events.watchEvent({ id: 'gone', afterVersion: 2 })) got.push(change);
        },
        { reason: 'EVENT_NOT_FOUND' },
      );
      assert.equal(got.length, 2);
    });

    test('a request stream that fails fails the call, with what it failed with', async () => {
      async function* requests() {
        const { batches } = seen;
        yield { batch: undefined };
        await eventually(() => seen.batches > batches);
        throw refuse('UNAUTHENTICATED', { detail: 'not any more' });
      }
      const fails = wiring.events.streamCreateEvents(requests());
      await assert.rejects(fails, (error) => isRefusal(error) && error.reason === 'UNAUTHENTICATED');
    });

    test('a request stream is read to its end', async () => {
      const requests = pushable<{
        batch: {
          namespace: string;
          function: string;
          qualifier: string;
          submissions: { payload: Buffer; idempotencyKey: string; delay: undefined }[];
        };
      }>();
      for (let i = 0; i < 500; i++)
        requests.push({
          batch: {
            namespace: '',
            function: '',
            qualifier: '',
            submissions: [{ payload: Buffer.from(String(i)), idempotencyKey: '', delay: undefined }],
          },
        });
      requests.end();
      const { eventIds } = await wiring.events.streamCreateEvents(requests);
      assert.deepEqual(
        eventIds,
        Array.from({ length: 500 }, (_, i) => String(i)),
      );
    });

    test('both directions at once: every request has its answer, in order', async () => {
      const requests = pushable<DispatchRequest>();
      const got: number[] = [];
      const reading = (async () => {
        for await (const { reports } of wiring.scheduler.dispatch(requests)) got.push(...reports.map((one) => one.attempt));
      })();
      const nothing = { assignments: [], stops: [], claims: [], agents: undefined };
      for (let i = 0; i < 2_000; i++) requests.push({ ...nothing, acks: [{ eventId: 'e', attempt: i }] });
      await eventually(() => got.length === 2_000);
      requests.end();
      await reading;
      assert.deepEqual(
        got,
        Array.from({ length: 2_000 }, (_, i) => i),
      );
    });
  });
}
