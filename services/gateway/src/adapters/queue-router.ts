import type { AcceptEventsRequest, QueueServiceService, TerminateEventRequest } from '@evenfall/contracts/queue/v1/queue_service';
import { isRefusal, Refusal, refuse } from '@evenfall/errors';
import { laneKey, partitionOfLane } from '@evenfall/event-log/lane';
import { superviseLoop } from '@evenfall/lifecycle';
import type { CallOptions, ClientOf } from '@evenfall/rpc';
import { delay } from '@evenfall/time';
import type { GatewayPorts, Queue } from '../ports.ts';

/** How long one replica may take before another is asked: longer than the log may take for it, so that its own answer is received. */
const TRY_MS = 6_000;
/** How long an event may have no owner: its partition is moving. */
const OWNERLESS_MS = 10_000;
const AGAIN_MS = 50;

type Lane = { readonly namespace: string; readonly function: string; readonly trigger: string };
type Replica = { readonly client: ClientOf<typeof QueueServiceService>; epochs: ReadonlyMap<number, bigint> };

/**
 * The queue as one, whatever the number of its replicas. An accept goes to the owner of its lane, who knows how much waits there; while it
 * cannot be reached any replica will do. A termination goes to the replica that holds the event.
 */
export function createQueueRouter({
  queues,
  log,
}: Pick<GatewayPorts, 'queues' | 'log'>): Queue & { run(signal: AbortSignal): Promise<void> } {
  const replicas: Replica[] = queues.map((client) => ({ client, epochs: new Map() }));
  let partitionCount = 0;
  let turn = 0;

  /** Replicas in the order they are asked: the owner, then the others in turn. */
  const inOrder = (lane: Lane): Replica[] => {
    turn = (turn + 1) % replicas.length;
    const others = [...replicas.slice(turn), ...replicas.slice(0, turn)];
    if (partitionCount === 0) return others;
    const partition = partitionOfLane(laneKey(lane.namespace, lane.function, lane.trigger), partitionCount);
    const epochOf = (replica: Replica): bigint => replica.epochs.get(partition) ?? -1n;
    return others.sort((a, b) => Number(epochOf(b) - epochOf(a)));
  };
  /** Asks the owner of a lane, and the others while that one cannot be reached. */
  const inTurn = async <T>(
    lane: Lane,
    options: CallOptions,
    ask: (client: Replica['client'], isFirst: boolean, options: CallOptions) => Promise<T>,
  ): Promise<T> => {
    const own = replicas.length > 1 ? { ...options, timeoutMs: TRY_MS } : options;
    let failure: unknown;
    for (const [index, { client }] of inOrder(lane).entries()) {
      try {
        return await ask(client, index === 0, own);
      } catch (error) {
        if (!mayGoOn(error)) throw error;
        failure = error;
      }
    }
    throw replicas.length > 1 ? new Refusal('SERVICE_UNAVAILABLE', { detail: 'no queue replica answers' }, { cause: failure }) : failure;
  };
  const follow = (replica: Replica, signal: AbortSignal): Promise<void> => {
    const onFailure = (error: unknown): void => log.warn('a queue replica cannot be watched', { error: String(error) });
    return superviseLoop({ name: 'watch ownership', signal, onFailure, maxPauseMs: 1_000 }, async () => {
      try {
        for await (const ownership of replica.client.watchOwnership({}, { signal })) {
          ({ partitionCount } = ownership);
          replica.epochs = new Map(ownership.partitions.map(({ partition, epoch }) => [partition, epoch]));
        }
      } finally {
        replica.epochs = new Map();
      }
      if (!signal.aborted) throw new Error('the replica ended the watch');
    });
  };
  return {
    run: (signal) => Promise.all(replicas.length > 1 ? replicas.map((replica) => follow(replica, signal)) : []).then(() => undefined),
    async acceptEvents(request, options = {}) {
      const [first] = request.events;
      if (!first?.accepted) throw refuse('INVALID_FIELD', { field: 'events', rule: 'there must be at least one' });
      return inTurn(first.accepted, options, (client, isFirst, own) => client.acceptEvents(isFirst ? request : repeatedly(request), own));
    },
    purgeDeadLetter: (request, options = {}) => inTurn(request, options, (client, _isFirst, own) => client.purgeDeadLetter(request, own)),
    async terminateEvent(request, options = {}) {
      for (const until = performance.now() + OWNERLESS_MS; ;) {
        const held = replicas.length > 1 ? await askHolders(replicas, request, options) : undefined;
        if (held) return held;
        turn = (turn + 1) % replicas.length;
        try {
          return await (replicas[turn] as Replica).client.terminateEvent(request, options); // turn < length
        } catch (error) {
          if (!mayGoOn(error)) throw error;
          if (performance.now() > until) throw refuse('SERVICE_UNAVAILABLE', { detail: 'the event has no owner yet' });
        }
        await delay(AGAIN_MS, options.signal ?? never);
      }
    },
  };
}

/** Asks all replicas at once whether they hold the event; returns the answer of the one that does. */
async function askHolders(replicas: readonly Replica[], request: TerminateEventRequest, options: CallOptions) {
  const asked = await Promise.allSettled(replicas.map(({ client }) => client.terminateEvent({ ...request, onlyIfHeld: true }, options)));
  for (const one of asked) if (one.status === 'fulfilled') return one.value;
  for (const one of asked) if (one.status === 'rejected' && !mayGoOn(one.reason)) throw one.reason;
  return undefined;
}

const never = new AbortController().signal;

/** Whether another replica, or the same a little later, may answer better. */
function mayGoOn(error: unknown): boolean {
  return isRefusal(error) && ['SERVICE_UNAVAILABLE', 'EVENT_NOT_HELD', 'DEADLINE_EXCEEDED'].includes(error.reason);
}

/** The first replica may have accepted them before it was lost: they are marked, so that the log's readers look twice. */
function repeatedly({ events }: AcceptEventsRequest): AcceptEventsRequest {
  return { events: events.map((event) => ({ ...event, accepted: event.accepted && { ...event.accepted, repeated: true } })) };
}
