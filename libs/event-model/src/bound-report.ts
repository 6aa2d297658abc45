import { isUtf8 } from 'node:buffer';
import { cutBytes, cutMiddle, cutText } from './cut-text.ts';
import { LIMITS } from './limits.ts';

/** An error larger than this is not parsed, only quoted. */
const PARSED_BYTES = 16 * 1024 * 1024;
const MAX_FIELDS = 32;
/** Values nested deeper are not kept as such: JSON.stringify goes as deep as the stack does, and so do many parsers of callers (Python's: 1,000). */
const MAX_DEPTH = 32;
const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d];
const STACKS = new Set(['stackTrace', 'stack', 'trace']);

/** A result within its limit, and whether it had to be cut. What is cut is no JSON any more. */
export function boundResult(result: Buffer): { readonly result: Buffer; readonly truncated: boolean } {
  const bounded = cutBytes(result, LIMITS.resultBytes);
  return { result: bounded, truncated: bounded !== result };
}

/**
 * The JSON of an error within its limits: type and message 4 KB each, the stack 32 KB, all of it 64 KB. Small ones are returned as they are.
 * What is no JSON object, or is nested deeper than 32 levels, becomes the message of one: `{"errorCode":-1,"errorMessage":…}`. Never throws.
 */
export function boundError(error: Buffer): Buffer {
  if (error.length === 0) return error;
  const fields = error.length <= PARSED_BYTES ? parseObject(error) : undefined;
  if (fields && error.length <= LIMITS.errorTextBytes && isUtf8(error)) return error;
  const bounded = fields ? boundFields(fields) : { errorCode: -1, errorMessage: quoted(error) };
  const json = shrink(bounded);
  return json.equals(error) ? error : json; // the same object says that nothing was cut
}

function boundFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const bounded: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields).slice(0, MAX_FIELDS)) {
    if (Buffer.byteLength(name) <= LIMITS.nameBytes) bounded[name] = boundValue(name, value);
  }
  return bounded;
}

function boundValue(name: string, value: unknown): unknown {
  const cut = STACKS.has(name)
    ? (text: string) => cutMiddle(text, LIMITS.stackBytes)
    : (text: string) => cutText(text, LIMITS.errorTextBytes);
  if (typeof value === 'string') return cut(value);
  if (typeof value !== 'object' || value === null) return value;
  const text = JSON.stringify(value);
  const short = cut(text);
  return short === text ? value : short;
}

/** Texts of many escapes are longer as JSON: what is too long is halved, the longest field first, until all of it fits. */
function shrink(fields: Record<string, unknown>): Buffer {
  let json = Buffer.from(JSON.stringify(fields));
  while (json.length > LIMITS.errorBytes) {
    const [name, length] = longestField(fields);
    if (length <= 128) return Buffer.from(JSON.stringify({ errorCode: -1, errorMessage: cutText(json.toString('utf8', 0, 1024), 1024) }));
    const value = fields[name];
    fields[name] = cutMiddle(typeof value === 'string' ? value : JSON.stringify(value), Math.max(64, length >> 1));
    json = Buffer.from(JSON.stringify(fields));
  }
  return json;
}

/** The field with the most bytes of text, and how many. */
function longestField(fields: Readonly<Record<string, unknown>>): readonly [name: string, bytes: number] {
  let longest: readonly [string, number] = ['', 0];
  for (const [name, value] of Object.entries(fields)) {
    const bytes = Buffer.byteLength(typeof value === 'string' ? value : JSON.stringify(value));
    if (bytes > longest[1]) longest = [name, bytes];
  }
  return longest;
}

/** The text of an error that is no JSON object, or too large to be parsed. */
function quoted(error: Buffer): string {
  if (error.length <= LIMITS.errorTextBytes) return cutText(error.toString('utf8'), LIMITS.errorTextBytes);
  const start = Buffer.from(error.toString('utf8', 0, LIMITS.errorTextBytes)); // a byte that is no UTF-8 takes three
  return `${cutBytes(start, LIMITS.errorTextBytes - 64).toString('utf8')}… [cut from ${error.length} bytes]`;
}

function parseObject(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  if (isDeep(bytes)) return undefined;
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined; // just checked
  } catch {
    return undefined;
  }
}

/** Whether JSON is nested too deeply; of bytes that are no JSON it does not matter. */
function isDeep(json: Buffer): boolean {
  let depth = 0;
  let isString = false;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (isString) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) isString = false;
    } else if (byte === QUOTE) isString = true;
    else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      if (++depth > MAX_DEPTH) return true;
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth--;
  }
  return false;
}
