import { isUtf8 } from 'node:buffer';
import type { EventSubmission } from '@evenfall/contracts/v1/event_service';
import { refuse, type Refusal } from '@evenfall/errors';
import { checkEnd, JsonFault, readArray, readObject, readString, skipSpace, skipValue } from '@evenfall/json-text';
import { durationOfMs, parseDuration, type ProtoDuration } from '@evenfall/time';
import { MAX_BATCH_EVENTS } from './batch-limits.ts';

/**
 * Reads `{"events": [{"payload", "idempotency_key", "delay"}]}`. Payloads are cut out of the body and stay the bytes they came as, which are
 * also what their size limit is about. Throws INVALID_JSON and INVALID_FIELD.
 */
export function submissionsOf(body: Buffer): EventSubmission[] {
  if (!isUtf8(body)) throw refuse('INVALID_JSON', { detail: 'it is not UTF-8' });
  try {
    return readBody(body);
  } catch (error) {
    if (error instanceof JsonFault) throw refuse('INVALID_JSON', { detail: error.message });
    throw error;
  }
}

function readBody(body: Buffer): EventSubmission[] {
  const fault = (): Refusal => refuse('INVALID_FIELD', { field: 'events', rule: 'the body is {"events": [...]} and nothing else' });
  const begin = skipSpace(body, 0);
  let submissions: EventSubmission[] | undefined;
  if (body[begin] !== OBJECT) {
    checkEnd(body, skipValue(body, begin));
    throw fault();
  }
  const end = readObject(body, begin, (key, at) => {
    if (key !== 'events' || submissions || body[at] !== LIST) throw fault();
    const read: EventSubmission[] = (submissions = []);
    return readArray(body, at, (itemAt, index) => {
      if (index >= MAX_BATCH_EVENTS) throw refuse('INVALID_FIELD', { field: 'events', rule: `1 to ${MAX_BATCH_EVENTS} events` });
      const item = readItem(body, itemAt, `events[${index}]`);
      read.push(item.submission);
      return item.end;
    });
  });
  checkEnd(body, end);
  if (!submissions) throw fault();
  return submissions;
}

/** Reads one event; `name` is how refusals call it, such as "events[3]". */
export function readItem(body: Buffer, begin: number, name: string): { readonly submission: EventSubmission; readonly end: number } {
  const fault = (field: string, rule: string): Refusal =>
    refuse('INVALID_FIELD', { field: `${name}${field}`.replace(/^\./, '') || 'event', rule });
  if (body[begin] !== OBJECT) throw fault('', 'an object with payload, idempotency_key and delay');
  let payload: Buffer = NULL;
  let idempotencyKey = '';
  let delay: ProtoDuration | undefined;
  const seen = new Set<string>();
  const textAt = (field: string, at: number, rule: string) => {
    if (body[at] !== QUOTE) throw fault(field, rule);
    return readString(body, at);
  };
  const end = readObject(body, begin, (key, at) => {
    if (seen.has(key)) throw fault(`.${key.slice(0, 40)}`, 'at most once');
    seen.add(key);
    if (key === 'payload') {
      const after = skipValue(body, at);
      payload = Buffer.from(body.subarray(at, after)); // a copy: one event that waits must not hold the whole body
      return after;
    }
    if (key === 'idempotency_key') {
      const text = textAt('.idempotency_key', at, 'text');
      if (text.value === '') throw fault('.idempotency_key', 'not empty; leave it out for an event without one');
      idempotencyKey = text.value;
      return text.end;
    }
    if (key !== 'delay') throw fault(`.${key.slice(0, 40)}`, 'there is no such field');
    const text = textAt('.delay', at, 'a duration such as "30s"');
    delay = delayOf(`${name}.delay`.replace(/^\./, ''), text.value);
    return text.end;
  });
  return { submission: { payload, idempotencyKey, delay }, end };
}

/** Reads a duration; nothing is none. */
export function delayOf(field: string, text: string): ProtoDuration | undefined {
  if (text === '') return undefined;
  const ms = parseDuration(text);
  if (ms === undefined) throw refuse('INVALID_FIELD', { field, rule: 'a duration such as "500ms", "30s", "10m" or "6h"' });
  return durationOfMs(ms);
}

const [QUOTE, LIST, OBJECT] = [0x22, 0x5b, 0x7b];
const NULL = Buffer.from('null');
