import type { Subscription } from '@evenfall/event-log';
import { superviseLoop } from '@evenfall/lifecycle';
import { delay } from '@evenfall/time';
import type { Lane } from '../domain/types.ts';
import { dispatchReady, type DispatchParts } from '../flows/dispatch.ts';
import { expireOverdue } from '../flows/expire-overdue.ts';
import { fetchOverdueParked, fetchParked, type ParkingParts } from '../flows/fetch-parked.ts';
import type { PartitionOwner } from '../flows/partition-owner.ts';

const ROUND_MS = 20;
const EXPIRY_EVERY_MS = 1_000;

export type MaintainParts = DispatchParts & ParkingParts & { readonly subscription: Subscription };

/** Moves what has become due, fetches parked events where lanes run low, and ends what is overdue. */
export function runMaintain(parts: MaintainParts, signal: AbortSignal): Promise<void> {
  const { queue, partitions, subscription } = parts;
  const onFailure = (error: unknown): void => queue.log.error('lane maintenance failed', error);
  const pump = (): void => dispatchReady(parts, subscription.isOwner());
  let expiredMs = 0;
  return superviseLoop({ name: 'maintain', signal, onFailure }, async () => {
    const nowMs = queue.clock.monotonic();
    const isExpiryDue = nowMs - expiredMs >= EXPIRY_EVERY_MS;
    for (const owner of partitions.all) {
      if (!owner.isActive) continue;
      owner.events.moveDue();
      for (const lane of [...owner.events.lanes.withParked()]) fetchWhatIsDue(parts, owner, lane, isExpiryDue, pump);
    }
    if (isExpiryDue) {
      expiredMs = nowMs;
      expireOverdue(parts);
    }
    pump();
    await delay(ROUND_MS, signal);
  });
}

function fetchWhatIsDue(parts: ParkingParts, owner: PartitionOwner, lane: Lane, isExpiryDue: boolean, pump: () => void): void {
  const { clock, log } = parts.queue;
  const onFailure = (error: unknown): void =>
    log.warn('could not fetch parked events; trying again', { function: lane.name.function, error: String(error) });
  if (owner.events.lanes.runsLow(lane)) fetchParked(parts, owner, lane).then(pump, onFailure);
  else if (isExpiryDue && !lane.parked.isFetching && clock.monotonic() >= lane.parked.expiresMs)
    fetchOverdueParked(parts, owner, lane).catch(onFailure);
}
