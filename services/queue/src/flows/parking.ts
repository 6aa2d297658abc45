import type { Lane } from '../domain/lanes.ts';
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
      const entry = parked.taken.delete(id) ? undefined : owner.admit(stored, partition, true);
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
  const entry = owner.admit(found.stored, partition, true);
  if (!entry) return false;
  owner.lanes.unpark(lane, 1);
  owner.settle(entry);
  return true;
}
