import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { timeOfUuidV7 } from '@evenfall/time';

/**
 * How far the time of an Accepted may be from that of its id before it counts as late. Shorter than a gateway waits for one replica before it asks
 * another, by enough for clocks that differ.
 */
const LATE_MS = 3_000;

/**
 * Whether the event of an Accepted record may be one that was accepted before, and may have ended since: a key named it, it was sent a second
 * time, or it comes so late that another replica may have been asked meanwhile (a replica that was paused with the request in its socket). The id has the
 * time of the gateway's clock and the record that of the queue's: an id that is newer than its record comes from clocks that differ, or of one that was set, and
 * then the times say nothing. The record may also have been late on its way to the log, whose own time of it is `appendTimeMs`: a replica that
 * was paused between making a record and writing it. All others have an id that was made a moment ago for them alone: they need no query.
 */
export function mayBeRepeated({ eventId, time, change }: EventRecord, appendTimeMs?: number): boolean {
  if (change?.$case !== 'accepted') return false;
  if (change.value.keyed || change.value.repeated) return true;
  const madeMs = timeOfUuidV7(eventId);
  if (madeMs === undefined || time === undefined || Math.abs(time.getTime() - madeMs) > LATE_MS) return true;
  return appendTimeMs !== undefined && Math.abs(appendTimeMs - madeMs) > LATE_MS;
}
