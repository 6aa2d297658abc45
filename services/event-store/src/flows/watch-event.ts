import { isFinal } from '@evenfall/event-model';
import { refuse } from '@evenfall/errors';
import { isUuid } from '@evenfall/time';
import type { WatchEventRequest, WatchEventResponse } from '@evenfall/contracts/v1/event_service';
import type { Pending, VersionedEvent, Watchers } from '../domain/watchers.ts';
import type { EventTable } from '../ports.ts';
import type { ReadBarrier } from './read-barrier.ts';
import { wakeable } from './wakeable.ts';

/** How often an event is looked at should a change have been folded by another replica. */
const LOOK_MS = 1_000;
/** How long the first state of an event that has just begun is kept back: most have ended by then, and their watchers are notified once. */
const SOON_MS = 5;

type WatchPorts = {
  readonly events: EventTable;
  readonly barrier: ReadBarrier;
  readonly watchers: Watchers;
  readonly pending: (id: string) => Pending | undefined;
};

/** Sends the current state of the event, and then every change; ends with its final state. Changes that come faster than they are sent are merged. */
export async function* watchEvent(ports: WatchPorts, request: WatchEventRequest, signal: AbortSignal): AsyncGenerator<WatchEventResponse> {
  const { id } = request;
  if (!isUuid(id)) throw refuse('EVENT_NOT_FOUND', { event_id: id.slice(0, 64) });
  await ports.barrier.steady();
  const wake = wakeable(signal);
  let newest: VersionedEvent | undefined;
  // Watched before it is read: a change in between is not missed. The fold hands changes over; nothing is read again for them.
  const leave = ports.watchers.watch(id, (changed) => {
    newest = changed ?? newest;
    wake.rouse();
  });
  try {
    let sent = request.afterVersion;
    let isCaughtUp = false;
    let hasWaited = false;
    for (; !signal.aborted;) {
      // An event that is about to be written is in memory, and notified within milliseconds: the database need not be read. If it has not ended
      // yet it may well have by then.
      const pending = newest ? undefined : ports.pending(id);
      if (pending && (!pending.upcoming || (!isFinal(pending.upcoming.event.state) && !hasWaited))) {
        await wake.next(pending.upcoming ? SOON_MS : LOOK_MS);
        hasWaited = true;
        continue;
      }
      const found: VersionedEvent | undefined = newest ?? pending?.upcoming ?? (await readStored(ports, id));
      newest = undefined;
      if (!found && !hasWaited) {
        hasWaited = true; // it may have been accepted just now: watchers are notified before it is written
        await wake.next(SOON_MS);
        continue;
      }
      if (!found) {
        if (isCaughtUp) throw refuse('EVENT_NOT_FOUND', { event_id: id });
        await ports.barrier.caughtUpSoon();
        isCaughtUp = true;
        continue;
      }
      if (found.version > sent) {
        sent = found.version;
        yield found;
      }
      if (isFinal(found.event.state)) return;
      await wake.next(LOOK_MS);
    }
  } finally {
    leave();
    wake.close();
  }
}

async function readStored(ports: Pick<WatchPorts, 'events' | 'barrier'>, id: string): Promise<VersionedEvent | undefined> {
  await ports.barrier.steady();
  return ports.events.getVersioned(id);
}
