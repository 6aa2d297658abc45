import type { AgentSet, DispatchRequest } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { Termination_Cause as Cause, Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import { assignmentBytes, MESSAGE_BYTES } from '@evenfall/event-model';
import type { QueuedEvent } from '../domain/types.ts';

/**
 * What is sent to the scheduler, gathered into one batch a turn. It knows nothing of partitions: what is sent while there is no stream is dropped,
 * and sent again by `dispatch` when there is one.
 */
export type SchedulerStream = {
  readonly isConnected: boolean;
  /** Sends by a new stream. The first batch says which agents the scheduler before named, and goes in any case. */
  connect(send: (batch: DispatchRequest) => void): void;
  disconnect(): void;
  /** Sends the dispatched attempt of an event; with the agent it runs on, empty if that is not known. */
  assign(
    queued: QueuedEvent,
    event: { readonly namespace: string; readonly function: string; readonly version: string },
    runningOnAgentId: string,
  ): void;
  /** Asks for the stop of an event's attempt, if its termination was requested. */
  stop(queued: QueuedEvent): void;
  /** Asks for a dispatched attempt back. */
  revoke(queued: QueuedEvent): void;
  /** Stops an attempt of an event that has ended: a previous owner had dispatched it, and nothing showed that when the event was ended. */
  stopUnknown(eventId: string, attempt: number, partition: number | undefined): void;
  acknowledge(eventId: string, attempt: number): void;
  /** Speaks for a partition from now on: the scheduler reports what it knows of its attempts. */
  claim(partition: number, epoch: number): void;
  /** Confirms to the scheduler which agents it named, and keeps them for the next one. */
  receiveAgents(agents: AgentSet): void;
};

/** Of an acknowledgement, a stop or a claim, about. */
const SMALL_BYTES = 128;

export function createSchedulerStream(): SchedulerStream {
  let send: ((batch: DispatchRequest) => void) | undefined;
  let outgoing: DispatchRequest | undefined;
  let outgoingBytes = 0;
  let agents: AgentSet | undefined;

  const flush = (): void => {
    const ready = outgoing;
    outgoing = undefined;
    outgoingBytes = 0;
    if (ready) send?.(ready);
  };
  /** The batch that takes so many bytes more; what is full goes at once, the rest once a turn. */
  const batch = (bytes = SMALL_BYTES): DispatchRequest => {
    if (outgoing && outgoingBytes > 0 && outgoingBytes + bytes > MESSAGE_BYTES) flush();
    outgoingBytes += bytes;
    if (!outgoing) {
      outgoing = { assignments: [], stops: [], acks: [], claims: [], agents: undefined };
      queueMicrotask(flush);
    }
    return outgoing;
  };
  return {
    get isConnected() {
      return send !== undefined;
    },
    connect(sender) {
      send = sender;
      outgoing = undefined;
      outgoingBytes = 0;
      batch().agents = agents;
      agents = undefined;
    },
    disconnect() {
      send = undefined;
    },
    assign(queued, { namespace, function: fn, version }, runningOnAgentId) {
      const { folded } = queued;
      const assignment = {
        eventId: queued.id,
        attempt: queued.dispatched,
        namespace,
        function: fn,
        version,
        revision: folded.revision,
        payload: folded.payload,
        runningOnAgentId,
        synchronous: false,
        partition: queued.partition,
        mayBeDispatched: queued.mayBeDispatched,
        functionUid: folded.functionUid,
      };
      batch(assignmentBytes(assignment)).assignments.push(assignment);
    },
    stop({ id, dispatched, partition, folded: { terminationRequest } }) {
      if (!terminationRequest) return;
      const { cause, mode, policy } = terminationRequest;
      batch().stops.push({ eventId: id, attempt: dispatched, cause, mode, policy, partition });
    },
    revoke({ id, dispatched, partition }) {
      const nothing = { cause: Cause.UNSPECIFIED, mode: Mode.UNSPECIFIED, policy: undefined };
      batch().stops.push({ eventId: id, attempt: dispatched, ...nothing, partition });
    },
    stopUnknown(eventId, attempt, partition) {
      batch().stops.push({ eventId, attempt, cause: Cause.USER, mode: Mode.FORCE, policy: undefined, partition });
    },
    acknowledge: (eventId, attempt) => void batch().acks.push({ eventId, attempt }),
    claim: (partition, epoch) => void batch().claims.push({ partition, epoch: BigInt(epoch) }),
    receiveAgents(named) {
      agents = named.isComplete ? named : undefined;
      batch().agents = named;
    },
  };
}
