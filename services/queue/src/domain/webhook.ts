import { createHmac } from 'node:crypto';
import type { WebhookDestination } from '@evenfall/contracts/v1/function';
import type { Outcome } from './delivery-outcome.ts';

/** A request to a webhook. */
export type WebhookRequest = { readonly url: string; readonly headers: Readonly<Record<string, string>>; readonly body: Buffer };

/** What became of it: an answer, or why none was asked for. Anything else is thrown. */
export type WebhookAnswer =
  | {
      readonly kind: 'ANSWERED';
      readonly status: number;
      /** The header as it came. */
      readonly retryAfter: string | undefined;
      /** The beginning of the body. */
      readonly text: string;
    }
  /** The address may not be called. */
  | { readonly kind: 'BLOCKED'; readonly why: string };

/** Statuses below 500 that are transient failures. */
const TRANSIENT = new Set([408, 425, 429]);
const MOST_RETRY_AFTER_MS = 3_600_000;
const SHOWN_CHARACTERS = 200;

/** The request that delivers an event, signed over its time and body, so that it can be neither forged nor replayed. */
export function webhookRequest(
  { url, secret }: Pick<WebhookDestination, 'url' | 'secret'>,
  body: Buffer,
  about: { readonly eventId: string; readonly attempt: number; readonly traceparent: string },
  nowMs: number,
): WebhookRequest {
  const timestamp = String(Math.floor(nowMs / 1_000));
  const signature = createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest('hex');
  return {
    url,
    body,
    headers: {
      'content-type': 'application/json',
      'user-agent': 'Evenfall',
      'evenfall-event-id': about.eventId,
      'evenfall-delivery-attempt': String(about.attempt),
      'evenfall-timestamp': timestamp,
      'evenfall-signature': `v1=${signature}`,
      ...(about.traceparent === '' ? {} : { traceparent: about.traceparent }),
    },
  };
}

/** 2xx: delivered. 4xx: permanent failure, except 408, 425 and 429. Everything else is retried. */
export function webhookOutcome(answer: WebhookAnswer, nowMs: number): Outcome {
  if (answer.kind === 'BLOCKED') return { kind: 'GIVE_UP', error: answer.why };
  const { status, text } = answer;
  if (status >= 200 && status < 300) return { kind: 'DELIVERED', eventId: '' };
  const said = text.trim() === '' ? '' : `: ${text.trim().slice(0, SHOWN_CHARACTERS)}`;
  const error = `It answered ${status}${said}`;
  if (status >= 400 && status < 500 && !TRANSIENT.has(status)) return { kind: 'GIVE_UP', error };
  return { kind: 'RETRY', error, notBeforeMs: retryAfterMs(answer.retryAfter, nowMs) };
}

/** Seconds or a date (RFC 9110 §10.2.3), at most an hour ahead; 0 without one, and for what is neither. */
function retryAfterMs(text: string | undefined, nowMs: number): number {
  if (text === undefined) return 0;
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - nowMs;
  return ms > 0 ? nowMs + Math.min(ms, MOST_RETRY_AFTER_MS) : 0;
}
