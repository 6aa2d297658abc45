import type { InvokeFunctionResponse } from '@evenfall/contracts/v1/invocation_service';
import { jsonOrString } from '@evenfall/json-text';
import type { JsonText } from '../json/text.ts';
import type { InvocationBody } from './schema.ts';

/** Writes the answer of a synchronous call as JSON text: what the function returned stays the bytes it wrote. */
export function invocationText(answer: InvokeFunctionResponse): JsonText<InvocationBody> {
  const head: Pick<InvocationBody, 'event_id' | 'status_code'> = { event_id: answer.eventId, status_code: answer.statusCode };
  const outcome = answer.error.length > 0 ? `"error":${jsonOrString(answer.error)}` : `"result":${jsonOrString(answer.result)}`;
  const tail: Omit<InvocationBody, keyof typeof head | 'result' | 'error'> = {
    log_tail: answer.logTail,
    duration_ms: answer.durationMs,
    billed_duration_ms: Number(answer.billedDurationMs),
    memory_bytes: Number(answer.memoryBytes),
  };
  return `${JSON.stringify(head).slice(0, -1)},${outcome},${JSON.stringify(tail).slice(1)}`;
}
