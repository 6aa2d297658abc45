import { type PutAsideRecord, type ViewPartition, ViewPartition_Kind } from '@evenfall/contracts/v1/operator_service';
import { nameOf } from '../json/enum-names.ts';
import { always, textOrNull } from '../json/values.ts';
import type { PutAsideBody, ViewPartitionBody } from './schema.ts';

export function putAsideJson(record: PutAsideRecord): PutAsideBody {
  return {
    partition: record.partition,
    offset: Number(record.offset),
    event_id: textOrNull(record.eventId),
    attempt: record.attempt,
    change: record.change,
    reason: record.reason,
    reduced: record.reduced,
    time: always(record.time),
    size_bytes: Number(record.sizeBytes),
  };
}

export function partitionJson(partition: ViewPartition): ViewPartitionBody {
  return {
    name: partition.name,
    kind: always(nameOf(ViewPartition_Kind, partition.kind)),
    from_time: always(partition.fromTime),
    to_time: always(partition.toTime),
    due_time: always(partition.dueTime),
    row_estimate: partition.rowEstimate < 0n ? null : Number(partition.rowEstimate),
    size_bytes: Number(partition.sizeBytes),
  };
}
