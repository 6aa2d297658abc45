import type { PurgeDeadLetterRequest, PurgeDeadLetterResponse } from '@evenfall/contracts/queue/v1/queue_service';
import { laneKey, partitionOfLane } from '@evenfall/event-log';
import { recordOf } from '../domain/record.ts';
import type { QueuePorts } from '../ports.ts';

/** Records that a dead letter is purged. Its event has ended long ago: that needs no decision of its owner. */
export async function purgeDeadLetter(ports: QueuePorts, request: PurgeDeadLetterRequest): Promise<PurgeDeadLetterResponse> {
  const partition = partitionOfLane(laneKey(request.namespace, request.function, request.trigger), ports.eventLog.partitionCount);
  const record = recordOf(request.eventId, 0, { $case: 'deadLetterPurged', value: {} }, ports.clock.now(), ports.replicaId);
  const endOffset = await ports.eventLog.append(partition, [record]);
  return { positions: [{ partition, endOffset: BigInt(endOffset) }] };
}
