import type { InvokeFunctionResponse } from '@evenfall/contracts/v1/invocation_service';
import { invalidField, refuse, type Refusal } from '@evenfall/errors';

/** Bytes that a gRPC client accepts unless it is configured otherwise. */
const DEFAULT_BYTES = 4 * 1024 * 1024;
/** The largest limit that a client can name: services accept no larger messages from each other. */
const MOST_BYTES = 64 * 1024 * 1024;
/** Bytes of everything in an answer but its texts, at the most. */
const REST_BYTES = 128;
/** Of a result that is sent in pieces. */
export const CHUNK_BYTES: number = 1024 * 1024;

/** The bytes an answer may have; or INVALID_FIELD. */
export function maxAnswerBytes(asked: number): number | Refusal {
  if (asked < 0 || asked > MOST_BYTES) return invalidField('max_answer_bytes', `0 to ${MOST_BYTES}`);
  return asked === 0 ? DEFAULT_BYTES : asked;
}

/** The refusal of an answer that is too large for one message: the function ran, and its client could not receive the answer. */
export function sizeRefusalOf(answer: InvokeFunctionResponse, maxBytes: number): Refusal | undefined {
  const { eventId, statusCode, result, error, logTail } = answer;
  const bytes = result.length + error.length + Buffer.byteLength(logTail) + REST_BYTES;
  if (bytes <= maxBytes) return undefined;
  return refuse('ANSWER_TOO_LARGE', {
    event_id: eventId,
    function_status_code: statusCode,
    result_bytes: result.length,
    answer_bytes: bytes,
    max_answer_bytes: maxBytes,
  });
}
