import type { InvokeFunctionResponse } from '@evenfall/contracts/v1/invocation_service';
import { refuse, type Refusal } from '@evenfall/errors';

/** What a gRPC client takes unless it is told otherwise. */
const DEFAULT_BYTES = 4 * 1024 * 1024;
/** What it can say it takes: services take no larger messages from each other. */
const MOST_BYTES = 64 * 1024 * 1024;
/** Bytes of everything in an answer but its texts, at the most. */
const REST_BYTES = 128;
/** Of a result that is sent in pieces. */
export const CHUNK_BYTES: number = 1024 * 1024;

/** The bytes an answer may have; throws INVALID_FIELD. */
export function maxAnswerBytes(asked: number): number {
  if (asked < 0 || asked > MOST_BYTES) throw refuse('INVALID_FIELD', { field: 'max_answer_bytes', rule: `0 to ${MOST_BYTES}` });
  return asked === 0 ? DEFAULT_BYTES : asked;
}

/** Why an answer cannot be sent as one message: the function ran, and its client could not take what it came to. */
export function tooLarge(answer: InvokeFunctionResponse, maxBytes: number): Refusal | undefined {
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
