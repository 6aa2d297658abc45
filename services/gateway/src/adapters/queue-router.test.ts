import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AcceptedEvent } from '@evenfall/contracts/log/v1/record';
import {
  type EventToAccept,
  QueueServiceService,
  TerminateEventRequest,
  type WatchOwnershipResponse,
} from '@evenfall/contracts/queue/v1/queue_service';
import { isRefusal, type Reason, refuse } from '@evenfall/errors';
import { laneKey, partitionOfLane } from '@evenfall/event-log/lane';
import { inProcessClient, pushable } from '@evenfall/rpc';
import { silentLog } from '@evenfall/telemetry';
import { eventually } from '@evenfall/testkit';
import { createQueueRouter } from './queue-router.ts';

const PARTITIONS = 4;
const LANE = partitionOfLane(laneKey('default', 'f', 'api'), PARTITIONS);
const event: EventToAccept = {
  eventId: 'e',
  delay: undefined,
  accepted: AcceptedEvent.create({ namespace: 'default', function: 'f', trigger: 'api' }),
};
const position = { positions: [{ partition: LANE, endOffset: 1n }] };
const termination = { ...TerminateEventRequest.create(), eventId: 'e' };

/** A replica as the test plays it. */
function replica() {
  const ownership = pushable<WatchOwnershipResponse>();
  const played = {
    accepted: [] as EventToAccept[],
    failure: undefined as Reason | undefined,
    held: false,
    terminations: [] as TerminateEventRequest[],
    ownership,
    owns(epoch: bigint, ...partitions: number[]): void {
      ownership.push({ partitionCount: PARTITIONS, partitions: partitions.map((partition) => ({ partition, epoch })) });
    },
    client: inProcessClient(
      QueueServiceService,
      {
        acceptEvents: async ({ events }: { readonly events: readonly EventToAccept[] }) => {
          if (played.failure) throw refuse(played.failure);
          played.accepted.push(...events);
          return position;
        },
        terminateEvent: async (request: TerminateEventRequest) => {
          if (played.failure) throw refuse(played.failure);
          if (!played.held) throw refuse('EVENT_NOT_HELD', { event_id: request.eventId });
          played.terminations.push(request);
          return position;
        },
        getHealth: async () => ({ faults: [] }),
        purgeDeadLetter: async () => position,
        countWaiting: async () => ({ namespaces: [], keys: [] }),
        watchOwnership: () => ownership,
      }, // the router calls nothing else
      () => undefined,
    ),
  };
  return played;
}

function route(...replicas: ReturnType<typeof replica>[]) {
  const stopping = new AbortController();
  const router = createQueueRouter({ queues: replicas.map(({ client }) => client), log: silentLog });
  const running = router.run(stopping.signal);
  return {
    router,
    async stop() {
      stopping.abort();
      for (const { ownership } of replicas) ownership.end();
      await running;
    },
  };
}
const reasonOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'none',
    (error: unknown) => (isRefusal(error) ? error.reason : String(error)),
  );

describe('the queue as the APIs see it', () => {
  it('gives events to the owner of their lane, of two that say so to the newer', async () => {
    const [a, b] = [replica(), replica()];
    const { router, stop } = route(a, b);
    a.owns(5n, LANE);
    b.owns(9n, LANE);
    await eventually(async () => {
      await router.acceptEvents({ events: [event] });
      return b.accepted.length > 0 && b.ownership.size === 0;
    });
    const before = a.accepted.length;
    for (let i = 0; i < 10; i++) await router.acceptEvents({ events: [event] });
    assert.equal(a.accepted.length, before);
    await stop();
  });

  it('gives them to another when the owner is away, marked as maybe known; a no is a no', async () => {
    const [a, b] = [replica(), replica()];
    const { router, stop } = route(a, b);
    a.owns(5n, LANE);
    await eventually(() => a.ownership.size === 0);
    a.failure = 'SERVICE_UNAVAILABLE';
    await eventually(async () => {
      await router.acceptEvents({ events: [event] });
      return b.accepted.some(({ accepted }) => accepted?.repeated);
    });
    a.failure = b.failure = 'LANE_FULL';
    assert.equal(await reasonOf(router.acceptEvents({ events: [event] })), 'LANE_FULL');
    a.failure = b.failure = 'SERVICE_UNAVAILABLE';
    assert.equal(await reasonOf(router.acceptEvents({ events: [event] })), 'SERVICE_UNAVAILABLE');
    await stop();
  });

  it('has the holder of an event terminate it, and waits for one while it moves', async () => {
    const [a, b] = [replica(), replica()];
    const { router, stop } = route(a, b);
    b.held = true;
    await router.terminateEvent(termination);
    assert.deepEqual([a.terminations.length, b.terminations.length], [0, 1]);
    b.held = false;
    setTimeout(() => (a.held = true), 120);
    await router.terminateEvent(termination);
    assert.deepEqual([a.terminations.length, b.terminations.length], [1, 1]);
    a.failure = 'GRACE_PERIOD_TOO_LONG';
    assert.equal(await reasonOf(router.terminateEvent(termination)), 'GRACE_PERIOD_TOO_LONG');
    await stop();
  });

  it('asks a single replica without asking who holds what', async () => {
    const only = replica();
    const { router, stop } = route(only);
    only.held = true;
    await router.terminateEvent(termination);
    assert.equal(only.terminations[0]?.onlyIfHeld, false);
    await router.acceptEvents({ events: [event] });
    assert.equal(only.accepted[0]?.accepted?.repeated, false);
    await stop();
  });
});
