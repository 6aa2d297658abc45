import { superviseLoop } from '@evenfall/lifecycle';
import { delay } from '@evenfall/time';
import type { Dispatcher } from '../flows/dispatcher.ts';
import { eventOf, type Owner } from '../flows/owner.ts';
import { fetchWhereLow, type ParkingPorts } from '../flows/parking.ts';
import type { QueuePorts } from '../ports.ts';

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
      expireOld(ports, owner, dispatcher);
    }
    dispatcher.pump();
    await delay(ROUND_MS, signal);
  });
}

/** Ends what has waited too long. The oldest of a lane stands at its head, so only heads are looked at. */
export function expireOld(ports: QueuePorts, owner: Owner, dispatcher: Dispatcher): void {
  const nowMs = ports.clock.now();
  for (const lane of owner.lanes.all()) {
    for (let entry = lane.ready.peek(); entry && isOld(entry, nowMs); entry = lane.ready.peek()) {
      owner.command(entry, 0, { kind: 'EXPIRE' });
      owner.lanes.unready(entry);
    }
    for (const entry of lane.sent) {
      if (!isOld(entry, nowMs)) break;
      dispatcher.revoke(entry);
    }
  }
}

function isOld(entry: Parameters<typeof eventOf>[0], nowMs: number): boolean {
  return nowMs >= (eventOf(entry).createTime?.getTime() ?? 0) + (entry.stored.policy?.maxEventAgeMs ?? 0);
}
