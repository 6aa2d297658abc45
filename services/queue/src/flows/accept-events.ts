import type { AcceptEventsRequest, AcceptEventsResponse } from '@evenfall/contracts/queue/v1/queue_service';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { laneKey, partitionOfLane, RecordsRefused } from '@evenfall/event-log';
import { inParts, recordBytes } from '@evenfall/event-model';
import { refuse } from '@evenfall/errors';
import { msOfDuration } from '@evenfall/time';
import { recordOf } from '../domain/record.ts';
import type { QueuePorts } from '../ports.ts';
import type { Partitions } from './partitions.ts';

/** What one append holds, about: appends of one call are written side by side. */
const PART_BYTES = 2 * 1024 * 1024;

/**
 * Appends the events and answers once the log has them. All of one call are one lane, and all or none are accepted; only of a call with many
 * megabytes may some be in the log when it fails.
 */
export async function acceptEvents(queue: QueuePorts, partitions: Partitions, request: AcceptEventsRequest): Promise<AcceptEventsResponse> {
  const first = request.events[0]?.accepted;
  if (!first) throw refuse('INVALID_FIELD', { field: 'events', rule: 'there must be at least one' });
  const key = laneKey(first.namespace, first.function, first.trigger);
  const partition = partitionOfLane(key, queue.eventLog.partitionCount);
  const { lanes } = partitions.get(partition).events;
  const lane = lanes.get(first);
  const count = request.events.length;
  const { accessKeyId } = first;
  if (lane.waiting + lane.accepting + count > queue.laneLimit)
    throw refuse('LANE_FULL', { function: first.function, limit: queue.laneLimit });

  const nowMs = queue.clock.now();
  const records: EventRecord[] = [];
  for (const { eventId, accepted, delay } of request.events) {
    if (!accepted || laneKey(accepted.namespace, accepted.function, accepted.trigger) !== key) {
      throw refuse('INVALID_FIELD', { field: 'events', rule: 'all must be of one lane' });
    }
    if (accepted.accessKeyId !== accessKeyId) throw refuse('INVALID_FIELD', { field: 'events', rule: 'all must be of one access key' });
    const delayMs = msOfDuration(delay) ?? 0;
    const value = delayMs > 0 ? { ...accepted, notBefore: new Date(nowMs + delayMs) } : accepted;
    records.push(recordOf(eventId, 0, { $case: 'accepted', value }, nowMs, queue.replicaId));
  }
  lanes.countAccepting(lane, count, accessKeyId);
  try {
    // All at once: they keep their order, and share a flush where there is room for them.
    const parts = inParts(records, recordBytes, PART_BYTES);
    const ends = await Promise.all(parts.map((part) => queue.eventLog.append(partition, part)));
    return { positions: [{ partition, endOffset: BigInt(Math.max(...ends)) }] };
  } catch (error) {
    if (error instanceof RecordsRefused) throw refuse('INVALID_FIELD', { field: 'events', rule: error.message });
    throw error;
  } finally {
    lanes.countAccepting(lane, -count, accessKeyId);
  }
}
