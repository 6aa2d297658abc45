import type { StoredEvent } from '@evenfall/contracts/log/v1/stored_event';
import type { Lane } from '../domain/lanes.ts';
import { type Waiting, waitingOfKnown } from '../domain/waiting.ts';
import type { QueuePorts } from '../ports.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { Owner } from './owner.ts';
import type { Ownership } from './ownership.ts';
import type { Tally } from './intake.ts';
import type { Writer } from './writer.ts';

/** What is fetched at a time. */
const FETCH = 2_000;

export type ParkingPorts = {
  readonly queue: QueuePorts;
  readonly ownership: Ownership;
  readonly owner: Owner;
  readonly writer: Writer;
  readonly dispatcher: Dispatcher;
  readonly tally: Tally;
};

/** Fetches parked events back where lanes run low, in order. What cannot be fetched now is fetched later: it is safe where it is. */
export function fetchWhereLow(ports: ParkingPorts): void {
  const { lanes } = ports.owner;
  for (const lane of [...lanes.withParked()]) {
    if (!lanes.runsLow(lane)) continue;
    void fetchParked(ports, lane).catch((error: unknown) => {
      ports.queue.log.warn('could not fetch parked events; trying again', { function: lane.name.function, error: String(error) });
    });
  }
}

async function fetchParked({ queue, ownership, owner, writer, dispatcher, tally }: ParkingPorts, lane: Lane): Promise<void> {
  const { parked, partition } = lane;
  const tenure = ownership.tenureOf(partition);
  const waitingOf = (stored: StoredEvent, offset: number): Waiting =>
    waitingOfKnown(stored, queue.clock, tenure, owner.lanes.acceptedAt(lane, offset));
  parked.fetching = true;
  const { lastOffset } = parked;
  // The view must have seen what was decided here, or an event that has ended since would come back to life.
  const after = { partition, endOffset: Math.max(lastOffset + 1, writer.endOffset(partition)) };
  try {
    const { events, hasMore } = await queue.view.listQueued(lane.name, parked.afterOffset, FETCH, after);
    if (ownership.tenureOf(partition) !== tenure) return;
    let beyond = false;
    for (const { stored, acceptOffset } of events) {
      // The view may be ahead of what was read here: those are not counted yet.
      beyond = acceptOffset > lastOffset;
      if (beyond) break;
      parked.afterOffset = acceptOffset;
      const id = stored.event?.id ?? '';
      const entry = parked.taken.delete(id) ? undefined : owner.admit(stored, partition, true, waitingOf(stored, acceptOffset));
      if (!entry) continue; // asked for by its id before it was its turn
      owner.lanes.unpark(lane, 1);
      owner.settle(entry);
    }
    const isAll = (!hasMore || beyond) && parked.lastOffset === lastOffset;
    if (isAll && parked.count > 0) {
      // Keyed events that had ended before they were accepted again: the view never took them in.
      const { count } = parked;
      owner.lanes.unpark(lane, count);
      tally.takenOver(-count);
    }
  } finally {
    parked.fetching = false;
    owner.lanes.dropIfEmpty(lane);
  }
  dispatcher.pump();
}

/**
 * Ends parked events that are too old before it is their turn: those of a function that has shortened the age since, or of a version with a shorter one. All of
 * the lane is read for it, so only when one of them is due.
 */
export function expireParked(ports: ParkingPorts): void {
  const nowMs = ports.queue.clock.monotonic();
  for (const lane of [...ports.owner.lanes.withParked()]) {
    if (lane.parked.fetching || nowMs < lane.parked.expiresMs) continue;
    void expireParkedOf(ports, lane).catch((error: unknown) => {
      ports.queue.log.warn('could not look for parked events that are too old; trying again', { error: String(error) });
    });
  }
}

async function expireParkedOf({ queue, ownership, owner, writer }: ParkingPorts, lane: Lane): Promise<void> {
  const { parked, partition } = lane;
  const tenure = ownership.tenureOf(partition);
  const { lastOffset } = parked;
  const after = { partition, endOffset: Math.max(lastOffset + 1, writer.endOffset(partition)) };
  parked.fetching = true;
  let nextMs = Number.POSITIVE_INFINITY;
  try {
    for (let afterOffset = parked.afterOffset, hasMore = true; hasMore;) {
      const page = await queue.view.listQueued(lane.name, afterOffset, FETCH, after);
      if (ownership.tenureOf(partition) !== tenure) return;
      ({ hasMore } = page);
      for (const { stored, acceptOffset } of page.events) {
        const id = stored.event?.id ?? '';
        afterOffset = acceptOffset;
        if (acceptOffset > lastOffset || parked.taken.has(id) || owner.book.has(id)) continue;
        const waiting = waitingOfKnown(stored, queue.clock, tenure, owner.lanes.acceptedAt(lane, acceptOffset));
        const expiresMs = waiting.acceptedMs + (stored.policy?.maxEventAgeMs ?? 0);
        if (queue.clock.monotonic() < expiresMs) {
          nextMs = Math.min(nextMs, expiresMs);
          continue;
        }
        const entry = owner.admit(stored, partition, true, waiting);
        if (!entry) continue;
        parked.taken.add(id);
        owner.lanes.unpark(lane, 1);
        owner.settle(entry); // counted, and ready: the round that looks for what is too old ends it
      }
    }
    if (parked.lastOffset === lastOffset) parked.expiresMs = nextMs; // else what came meanwhile may be due sooner
  } finally {
    parked.fetching = false;
    owner.lanes.dropIfEmpty(lane);
  }
}

/** Takes one parked event out of its turn, to be terminated. Answers whether it was there. */
export async function takeParked(
  { queue, ownership, owner, writer }: Pick<ParkingPorts, 'queue' | 'ownership' | 'owner' | 'writer'>,
  lane: Lane,
  id: string,
): Promise<boolean> {
  const { partition, parked } = lane;
  const tenure = ownership.tenureOf(partition);
  const after = { partition, endOffset: Math.max(parked.lastOffset + 1, writer.endOffset(partition)) };
  const found = await queue.view.getQueued(lane.name, id, after);
  if (!found || ownership.tenureOf(partition) !== tenure || owner.book.has(id)) return false;
  if (found.acceptOffset <= parked.afterOffset || found.acceptOffset > parked.lastOffset) return false; // fetched meanwhile, or not counted yet
  parked.taken.add(id);
  const waiting = waitingOfKnown(found.stored, queue.clock, tenure, owner.lanes.acceptedAt(lane, found.acceptOffset));
  const entry = owner.admit(found.stored, partition, true, waiting);
  if (!entry) return false;
  owner.lanes.unpark(lane, 1);
  owner.settle(entry);
  return true;
}
