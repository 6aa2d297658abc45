import { evolve, isFinal } from '@evenfall/event-model';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import type { Event } from '@evenfall/contracts/v1/event';
import { delay } from '@evenfall/time';
import type { Entry } from '../domain/book.ts';
import type { QueuePorts } from '../ports.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { Owner } from './owner.ts';
import type { Ownership } from './ownership.ts';

/** Counts what comes in: each event once, however often it was asked for. */
export type Tally = {
  /** A new event. */
  accepted(): void;
  /** Open events of a former owner, of oneself before a restart; negative when they go to somebody else, or had ended. */
  takenOver(count: number): void;
};

/** What others wrote into the log of an owned partition, before the tenure began and after. */
export type Recovery = {
  /** Folds a record in that somebody else wrote. */
  apply(record: EventRecord, partition: number, endOffset: number): void;
  /** Told that everything before the tenure is known: lets it run, once. */
  complete(partition: number): void;
  forget(entry: Entry): void;
};

type Ports = { readonly queue: QueuePorts; readonly ownership: Ownership; readonly owner: Owner; readonly dispatcher: Dispatcher };

const AGAIN_MS = 500;
const never = new AbortController().signal;

export function createRecovery({ queue, ownership, owner, dispatcher }: Ports, tally: Tally): Recovery {
  /** Admitted by a keyed record on the way to the tenure: it may be the second of an event that has ended. */
  const doubtful = new Set<Entry>();

  const letRun = (entry: Entry): void => {
    owner.settle(entry);
    dispatcher.resume(entry);
  };
  /** A key names the same event for as long as its status is kept: it may have ended long ago. While nobody can say, it waits. */
  const verify = async (entry: Entry, endOffset: number, takenOver: boolean): Promise<void> => {
    const isHeld = (): boolean => owner.book.get(entry.id) === entry;
    let event: Event | undefined;
    for (let answered = false; !answered && isHeld();) {
      try {
        event = await queue.view.get(entry.id, { partition: entry.partition, endOffset });
        answered = true;
      } catch (error) {
        queue.log.warn('could not look up a keyed event; asking again', { event_id: entry.id, error: String(error) });
        await delay(AGAIN_MS, never);
      }
    }
    if (!isHeld()) return;
    const isOver = event !== undefined && isFinal(event.state);
    if (isOver && takenOver) tally.takenOver(-1);
    if (!isOver && !takenOver) tally.accepted();
    if (isOver) owner.forget(entry);
    else letRun(entry);
    dispatcher.pump();
  };
  const admitNew = (record: EventRecord, partition: number, endOffset: number): void => {
    const stored = evolve(undefined, record);
    const admitted = stored && owner.admit(stored, partition);
    if (!admitted || record.change?.$case !== 'accepted') return;
    const mayBeKnown = record.change.value.keyed || record.change.value.repeated;
    if (!ownership.isLive(partition)) {
      if (mayBeKnown) doubtful.add(admitted);
      tally.takenOver(1);
    } else if (mayBeKnown) void verify(admitted, endOffset, false);
    else {
      tally.accepted();
      owner.settle(admitted);
    }
  };

  return {
    apply(record, partition, endOffset) {
      const entry = owner.book.get(record.eventId);
      if (!entry) {
        admitNew(record, partition, endOffset);
        return;
      }
      const stored = evolve(entry.stored, record);
      if (!stored || stored === entry.stored) return;
      owner.replay(entry, stored);
      if (owner.book.has(entry.id)) return;
      doubtful.delete(entry);
      tally.takenOver(-1);
    },
    complete(partition) {
      const tenure = ownership.tenureOf(partition);
      if (!tenure || ownership.isLive(partition)) return;
      ownership.goLive(partition);
      dispatcher.claim(partition);
      for (const entry of owner.book.values()) {
        if (entry.partition !== partition) continue;
        if (doubtful.delete(entry)) void verify(entry, tenure.epoch, true);
        else letRun(entry);
      }
    },
    forget: (entry) => void doubtful.delete(entry),
  };
}
