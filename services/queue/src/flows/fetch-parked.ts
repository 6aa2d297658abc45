import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import type { QueuedEvent, Lane, WaitTimes } from '../domain/types.ts';
import { waitingOfKnown } from '../domain/waiting.ts';
import type { After, QueuePorts } from '../ports.ts';
import type { Counters } from './counters.ts';
import type { PartitionOwner } from './partition-owner.ts';

/** Events fetched at a time. */
const FETCH = 2_000;

export type ParkingParts = { readonly queue: QueuePorts; readonly counters: Counters };

/** Fetches parked events of a lane back, in order. What cannot be fetched now is fetched later: it is safe where it is. */
export async function fetchParked({ queue, counters }: ParkingParts, owner: PartitionOwner, lane: Lane): Promise<void> {
  const { parked } = lane;
  const { events, tenure } = owner;
  parked.isFetching = true;
  const { lastOffset } = parked;
  try {
    const page = await queue.view.listQueued(lane.name, parked.afterOffset, FETCH, afterDecided(owner, lane));
    if (owner.tenure !== tenure) return;
    let isBeyond = false;
    for (const { folded, acceptOffset } of page.events) {
      // The view may be ahead of what was read here: those are not counted yet.
      isBeyond = acceptOffset > lastOffset;
      if (isBeyond) break;
      parked.afterOffset = acceptOffset;
      if (!parked.fetchedEarly.delete(folded.event?.id ?? '')) unpark(queue, owner, lane, folded, acceptOffset);
    }
    const isAll = (!page.hasMore || isBeyond) && parked.lastOffset === lastOffset;
    if (isAll && parked.count > 0) {
      // Keyed events that had ended before they were accepted again: the view never had them as queued.
      counters.taken_over -= parked.count;
      events.lanes.unparkAll(lane);
    }
  } finally {
    parked.isFetching = false;
    events.lanes.dropIfEmpty(lane);
  }
}

/**
 * Fetches parked events that exceed their age before it is their turn: those of a function whose age was shortened since, or of a version with a shorter one.
 * All of the lane is read for it, so only when one of them is due. They are ready then, and end as what is overdue does.
 */
export async function fetchOverdueParked({ queue }: ParkingParts, owner: PartitionOwner, lane: Lane): Promise<void> {
  const { parked } = lane;
  const { events, tenure } = owner;
  const { lastOffset } = parked;
  const after = afterDecided(owner, lane);
  parked.isFetching = true;
  let nextMs = Number.POSITIVE_INFINITY;
  try {
    for (let afterOffset = parked.afterOffset, hasMore = true; hasMore;) {
      const page = await queue.view.listQueued(lane.name, afterOffset, FETCH, after);
      if (owner.tenure !== tenure) return;
      ({ hasMore } = page);
      for (const { folded, acceptOffset } of page.events) {
        const id = folded.event?.id ?? '';
        afterOffset = acceptOffset;
        if (acceptOffset > lastOffset || parked.fetchedEarly.has(id) || events.book.has(id)) continue;
        const { acceptedMs } = waitingOf(queue, owner, lane, folded, acceptOffset);
        const expiresMs = acceptedMs + (folded.policy?.maxEventAgeMs ?? 0);
        if (queue.clock.monotonic() < expiresMs) nextMs = Math.min(nextMs, expiresMs);
        else if (unpark(queue, owner, lane, folded, acceptOffset)) parked.fetchedEarly.add(id);
      }
    }
    if (parked.lastOffset === lastOffset) parked.expiresMs = nextMs; // else what came meanwhile may be due sooner
  } finally {
    parked.isFetching = false;
    events.lanes.dropIfEmpty(lane);
  }
}

/** Fetches one parked event out of its turn, to be terminated. Answers whether it was there. */
export async function fetchParkedById(queue: QueuePorts, owner: PartitionOwner, lane: Lane, id: string): Promise<boolean> {
  const { parked } = lane;
  const { events, tenure } = owner;
  const found = await queue.view.getQueued(lane.name, id, afterDecided(owner, lane));
  if (!found || owner.tenure !== tenure || events.book.has(id)) return false;
  if (found.acceptOffset <= parked.afterOffset || found.acceptOffset > parked.lastOffset) return false; // fetched meanwhile, or not counted yet
  parked.fetchedEarly.add(id);
  return unpark(queue, owner, lane, found.folded, found.acceptOffset) !== undefined;
}

/** Where the view must be: it must have seen what was decided here, or an event that has ended since would come back. */
function afterDecided({ partition, writer }: PartitionOwner, { parked }: Lane): After {
  return { partition, endOffset: Math.max(parked.lastOffset + 1, writer?.endOffset ?? 0) };
}

function waitingOf(
  { clock }: QueuePorts,
  { events, tenure }: PartitionOwner,
  lane: Lane,
  folded: FoldedEvent,
  acceptOffset: number,
): WaitTimes {
  return waitingOfKnown(folded, clock, tenure, events.lanes.acceptedAt(lane, acceptOffset));
}

/** Puts a fetched event into its lane; undefined if it is in memory already. */
function unpark(queue: QueuePorts, owner: PartitionOwner, lane: Lane, folded: FoldedEvent, acceptOffset: number): QueuedEvent | undefined {
  const { events } = owner;
  const queued = events.admit(folded, waitingOf(queue, owner, lane, folded, acceptOffset), true);
  if (!queued) return undefined;
  events.lanes.unpark(lane, folded.accessKeyId);
  events.settle(queued);
  return queued;
}
