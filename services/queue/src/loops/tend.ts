import { isFinal } from '@evenfall/event-model';
import { superviseLoop } from '@evenfall/lifecycle';
import { delay } from '@evenfall/time';
import type { Entry } from '../domain/book.ts';
import { isPastAge } from '../domain/waiting.ts';
import type { Dispatcher } from '../flows/dispatcher.ts';
import { eventOf, type Owner } from '../flows/owner.ts';
import { expireParked, fetchWhereLow, type ParkingPorts } from '../flows/parking.ts';

const ROUND_MS = 20;
const EXPIRY_EVERY_MS = 1_000;

/** Lets delays, retries and ages run out. */
export function runTend(parts: ParkingPorts, signal: AbortSignal): Promise<void> {
  const { queue: ports, owner, dispatcher } = parts;
  const onFailure = (error: unknown): void => ports.log.error('could not tend the lanes', error);
  let expiredMs = 0;
  return superviseLoop({ name: 'tend', signal, onFailure }, async () => {
    owner.moveDue();
    fetchWhereLow(parts);
    if (ports.clock.monotonic() - expiredMs >= EXPIRY_EVERY_MS) {
      expiredMs = ports.clock.monotonic();
      expireParked(parts);
      expireOld(owner, dispatcher);
    }
    dispatcher.pump();
    await delay(ROUND_MS, signal);
  });
}

/**
 * Ends what has waited too long, each by its own age: one lane holds events of several, and those that are tried again stand behind younger ones. What is
 * with the scheduler and has not started is asked back. Delayed ones are due before they are too old. All that is in memory is looked at: 50,000 events
 * take two milliseconds.
 */
export function expireOld(owner: Owner, dispatcher: Dispatcher): void {
  for (const lane of owner.lanes.all()) {
    if (lane.readyCount > 0)
      for (const entry of lane.ready.all()) {
        if (!isOld(owner, entry)) continue;
        owner.command(entry, 0, { kind: 'EXPIRE' });
        if (isFinal(eventOf(entry).state)) owner.lanes.unready(entry);
      }
    for (const entry of lane.sent) if (isOld(owner, entry)) dispatcher.revoke(entry);
  }
}

function isOld(owner: Owner, entry: Entry): boolean {
  return isPastAge(entry.stored, owner.agedMs(entry));
}
