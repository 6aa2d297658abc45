import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { Event_State as State } from '@evenfall/contracts/v1/event';
import { jsonOrString } from '@evenfall/json-text';

/**
 * What a destination receives: the event as it ended, and its payload. Payload, result and error are JSON text already and are put in as they
 * are: parsing them only to write them again would change numbers that JavaScript cannot hold.
 */
export function deliveryDocument({ event, payload }: FoldedEvent): Buffer {
  if (!event) throw new Error('A pending delivery is of an event'); // it would have no destination
  const head = JSON.stringify({
    id: event.id,
    namespace: event.namespace,
    function: event.function,
    version: event.version,
    qualifier: event.qualifier,
    trigger: event.trigger,
    state: Object.entries(State).find(([, value]) => value === event.state)?.[0] ?? null,
    status_code: event.statusCode,
  });
  const tail = JSON.stringify({
    ...(event.resultTruncated ? { result_truncated: true } : {}),
    create_time: event.createTime ?? null,
    start_time: event.startTime ?? null,
    end_time: event.endTime ?? null,
    attempt_count: event.attempts.length,
  });
  return Buffer.concat([
    Buffer.from(`{"event":${head.slice(0, -1)},"result":`),
    Buffer.from(jsonOrString(event.result)),
    Buffer.from(',"error":'),
    Buffer.from(jsonOrString(event.error)),
    Buffer.from(`,${tail.slice(1)},"payload":`),
    Buffer.from(jsonOrString(payload)),
    Buffer.from('}'),
  ]);
}
