import type { AcceptEventsRequest, AcceptEventsResponse } from '@evenfall/contracts/queue/v1/queue_service';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { laneKey, partitionOfLane } from '@evenfall/event-log';
import { refuse } from '@evenfall/errors';
import { msOfDuration } from '@evenfall/time';
import type { Lanes } from '../domain/lanes.ts';
import { recordOf } from '../domain/record.ts';
import type { QueuePorts } from '../ports.ts';

/** Appends the events and answers once the log has them. All of one call are one lane, and all or none are accepted. */
export async function acceptEvents(ports: QueuePorts, lanes: Lanes, request: AcceptEventsRequest): Promise<AcceptEventsResponse> {
  const first = request.events[0]?.accepted;
  if (!first) throw refuse('INVALID_FIELD', { field: 'events', rule: 'there must be at least one' });
  const key = laneKey(first.namespace, first.function, first.trigger);
  const partition = partitionOfLane(key, ports.eventLog.partitionCount);
  const lane = lanes.get(first, partition);
  const count = request.events.length;
  if (lane.waiting + lane.accepting + count > ports.laneLimit)
    throw refuse('LANE_FULL', { function: first.function, limit: ports.laneLimit });

  const nowMs = ports.clock.now();
  const records: EventRecord[] = [];
  for (const { eventId, accepted, delay } of request.events) {
    if (!accepted || laneKey(accepted.namespace, accepted.function, accepted.trigger) !== key) {
      throw refuse('INVALID_FIELD', { field: 'events', rule: 'all must be of one lane' });
    }
    const delayMs = msOfDuration(delay) ?? 0;
    const value = delayMs > 0 ? { ...accepted, notBefore: new Date(nowMs + delayMs) } : accepted;
    records.push(recordOf(eventId, 0, { $case: 'accepted', value }, nowMs, ports.replicaId));
  }
  lane.accepting += count;
  try {
    const endOffset = await ports.eventLog.append(partition, records);
    return { positions: [{ partition, endOffset: BigInt(endOffset) }] };
  } finally {
    lane.accepting -= count;
    lanes.dropIfEmpty(lane);
  }
}
