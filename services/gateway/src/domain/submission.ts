import { createHash } from 'node:crypto';
import type { EventPolicy } from '@evenfall/contracts/log/v1/record';
import type { EventToAccept } from '@evenfall/contracts/queue/v1/queue_service';
import type { EventSubmission } from '@evenfall/contracts/v1/event_service';
import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { invalidField, isRefusal, type Refusal } from '@evenfall/errors';
import { durationRefusal } from '@evenfall/function-model';
import { durationOfMs, msOfDuration, newUuidV7, uuidOfName } from '@evenfall/time';
import { acceptedPayload } from './payload.ts';

/** The trigger of events that callers send. */
export const API_TRIGGER = 'api';

/** How much of its longest age a delayed event still has at least when its delay is over. */
const LEAST_LEFT_MS = 1_000;

/** What all events of one call have in common. */
export type SubmissionContext = {
  readonly fn: FunctionMessage;
  readonly policy: EventPolicy;
  readonly qualifier: string;
  readonly traceparent: string;
  readonly maxPayloadBytes: number;
  /** Whether the payloads are known to be JSON text. */
  readonly isJson?: boolean;
};

/** Makes of a submission the event that the queue is to accept; or INVALID_FIELD, PAYLOAD_TOO_LARGE, PAYLOAD_NOT_JSON. The id of an event with a key follows from the key; that of another is made here. */
export function eventToAccept(submission: EventSubmission, context: SubmissionContext): EventToAccept | Refusal {
  const { fn, policy } = context;
  const key = submission.idempotencyKey;
  // An event that is delayed for as long as its longest age could only expire.
  const delays = { leastMs: 0, mostMs: Math.max(0, policy.maxEventAgeMs - LEAST_LEFT_MS) };
  const refusal = keyRefusal(key) ?? durationRefusal('delay', submission.delay, delays);
  if (refusal) return refusal;
  const delayMs = msOfDuration(submission.delay) ?? 0;
  const payload = acceptedPayload(submission.payload, context.maxPayloadBytes, context.isJson);
  if (isRefusal(payload)) return payload;
  return {
    eventId: key === '' ? newUuidV7() : keyedId(fn, key),
    delay: delayMs > 0 ? durationOfMs(delayMs) : undefined,
    accepted: {
      namespace: fn.namespace,
      function: fn.name,
      qualifier: context.qualifier,
      version: fn.version,
      revision: fn.revision,
      trigger: API_TRIGGER,
      payload,
      policy,
      notBefore: undefined,
      keyed: key !== '',
      traceparent: context.traceparent,
      repeated: false,
      redrivenFrom: '',
      originEventId: '',
      depth: 0,
      functionUid: fn.uid,
      accessKeyId: '', // set where the events are admitted
      requestSha256: key === '' ? undefined : requestDigest(context.qualifier, delayMs, payload),
    },
  };
}

/** A key belongs to the function itself: a function that is created again under the same name has none of the earlier keys. */
function keyedId({ uid, namespace, name }: FunctionMessage, key: string): string {
  return uid === '' ? uuidOfName(namespace, name, key) : uuidOfName(uid, key);
}

/** Distinguishes two requests with one key. Parts are joined unambiguously. */
function requestDigest(qualifier: string, delayMs: number, payload: Buffer): string {
  const head = `${Buffer.byteLength(qualifier)}:${qualifier} ${delayMs} `;
  return createHash('sha256').update(head).update(payload).digest('hex');
}

/** A well-formed W3C trace context; anything else counts as none (W3C Trace Context §3.2.2.5: ignore what cannot be parsed). */
export function traceparentOf(header: string | undefined): string {
  return header !== undefined && /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(header) && !header.startsWith('ff')
    ? header
    : '';
}

function keyRefusal(key: string): Refusal | undefined {
  if (key === '' || (key.length <= 128 && key.trim() !== '' && !/[\u0000-\u001f\u007f]/.test(key) && key.isWellFormed())) return undefined;
  return invalidField('idempotency_key', '1 to 128 characters that are not all blank, no control characters, no halves of characters');
}
