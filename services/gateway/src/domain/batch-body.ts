import { isUtf8 } from 'node:buffer';
import type { EventSubmission } from '@evenfall/contracts/v1/event_service';
import { invalidField, isRefusal, refuse, type Refusal } from '@evenfall/errors';
import { checkEnd, JsonFault, readArray, readObject, readString, skipSpace, skipValue } from '@evenfall/json-text';
import { durationOfMs, parseDuration, type ProtoDuration } from '@evenfall/time';
import { MAX_BATCH_EVENTS } from './batch-limits.ts';

/**
 * Reads `{"events": [{"payload", "idempotency_key", "delay"}]}`; or INVALID_JSON, INVALID_FIELD. Payloads are cut out of the body and stay the bytes they came
 * as; their size limit is about those bytes.
 */
export function submissionsOf(body: Buffer): EventSubmission[] | Refusal {
  if (!isUtf8(body)) return refuse('INVALID_JSON', { detail: 'it is not UTF-8' });
  return refusalOfReading(() => readBody(body));
}

/** Runs readers of JSON, which stop at a fault by throwing it; returns the fault as a refusal. */
function refusalOfReading<T>(read: () => T): T | Refusal {
  try {
    return read();
  } catch (error) {
    if (error instanceof JsonFault) return refuse('INVALID_JSON', { detail: error.message });
    if (isRefusal(error)) return error;
    throw error;
  }
}

function readBody(body: Buffer): EventSubmission[] {
  const fault = (): Refusal => invalidField('events', 'the body is {"events": [...]} and nothing else');
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
      if (index >= MAX_BATCH_EVENTS) throw invalidField('events', `1 to ${MAX_BATCH_EVENTS} events`);
      const item = readItem(body, itemAt, `events[${index}]`);
      read.push(item.submission);
      return item.end;
    });
  });
  checkEnd(body, end);
  if (!submissions) throw fault();
  return submissions;
}

/** Reads a text that holds one event and nothing else; or INVALID_JSON, INVALID_FIELD. */
export function submissionOf(text: Buffer, begin: number): EventSubmission | Refusal {
  if (!isUtf8(text)) return refuse('INVALID_JSON', { detail: 'it is not UTF-8' });
  return refusalOfReading(() => {
    const { submission, end } = readItem(text, begin, '');
    checkEnd(text, end);
    return submission;
  });
}

/** Reads one event; `name` is how refusals call it, such as "events[3]". Throws JsonFault and refusals, within this file only. */
function readItem(body: Buffer, begin: number, name: string): { readonly submission: EventSubmission; readonly end: number } {
  const fault = (field: string, rule: string): Refusal => invalidField(`${name}${field}`.replace(/^\./, '') || 'event', rule);
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
    const read = delayOf(`${name}.delay`.replace(/^\./, ''), text.value);
    if (isRefusal(read)) throw read;
    delay = read;
    return text.end;
  });
  return { submission: { payload, idempotencyKey, delay }, end };
}

/** Reads a delay; undefined for an empty text. Refusals: INVALID_FIELD. */
export function delayOf(field: string, text: string): ProtoDuration | undefined | Refusal {
  if (text === '') return undefined;
  const ms = parseDuration(text);
  return ms === undefined ? invalidField(field, 'a duration such as "500ms", "30s", "10m" or "6h"') : durationOfMs(ms);
}

const [QUOTE, LIST, OBJECT] = [0x22, 0x5b, 0x7b];
const NULL = Buffer.from('null');
