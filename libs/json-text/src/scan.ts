/** What is wrong with a JSON text, without any of the text: that may be long, or secret. */
export class JsonFault extends Error {
  constructor(what: string, offset: number) {
    super(`${what} at position ${offset}`);
    this.name = 'JsonFault';
  }
}

const [QUOTE, COMMA, MINUS, POINT, COLON, BACKSLASH] = [0x22, 0x2c, 0x2d, 0x2e, 0x3a, 0x5c];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
const [ZERO, NINE, UPPER_E, LOWER_E, PLUS] = [0x30, 0x39, 0x45, 0x65, 0x2b];
const ESCAPES = new Set(Buffer.from('"\\/bfnrt'));
const WORDS = ['true', 'false', 'null'].map((word) => Buffer.from(word));

/** The place of the next byte that is not white space. */
export function skipSpace(text: Uint8Array, at: number): number {
  for (;;) {
    const byte = text[at];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at;
    at++;
  }
}

/** The place after the value that begins at `at`. Throws a `JsonFault` if it is not JSON. The bytes have to be UTF-8. */
export function skipValue(text: Uint8Array, at: number): number {
  let closers = new Uint8Array(64); // of the lists and objects that are open
  let depth = 0;
  for (;;) {
    const byte = text[at];
    if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      const closer = byte === OPEN_LIST ? CLOSE_LIST : CLOSE_OBJECT;
      at = skipSpace(text, at + 1);
      if (text[at] === closer) at++;
      else {
        if (depth === closers.length) closers = doubled(closers);
        closers[depth++] = closer;
        if (closer === CLOSE_OBJECT) at = skipKey(text, at);
        continue;
      }
    } else at = skipScalar(text, at);
    for (;;) {
      if (depth === 0) return at;
      at = skipSpace(text, at);
      if (text[at] === closers[depth - 1]) {
        depth--;
        at++;
        continue;
      }
      if (text[at] !== COMMA) throw unexpected(text, at);
      at = skipSpace(text, at + 1);
      if (closers[depth - 1] === CLOSE_OBJECT) at = skipKey(text, at);
      break;
    }
  }
}

/** Reads the object that begins at `at`: `onMember` is given each key and the place of its value, and answers the place after the value. */
export function readObject(text: Uint8Array, at: number, onMember: (key: string, valueAt: number) => number): number {
  if (text[at] !== OPEN_OBJECT) throw unexpected(text, at);
  at = skipSpace(text, at + 1);
  if (text[at] === CLOSE_OBJECT) return at + 1;
  for (;;) {
    const valueAt = skipKey(text, at);
    at = skipSpace(text, onMember(readString(text, at).value, valueAt));
    if (text[at] === CLOSE_OBJECT) return at + 1;
    if (text[at] !== COMMA) throw unexpected(text, at);
    at = skipSpace(text, at + 1);
  }
}

/** Reads the list that begins at `at`: `onElement` is given the place of each element, and answers the place after it. */
export function readArray(text: Uint8Array, at: number, onElement: (valueAt: number, index: number) => number): number {
  if (text[at] !== OPEN_LIST) throw unexpected(text, at);
  at = skipSpace(text, at + 1);
  if (text[at] === CLOSE_LIST) return at + 1;
  for (let index = 0; ; index++) {
    at = skipSpace(text, onElement(at, index));
    if (text[at] === CLOSE_LIST) return at + 1;
    if (text[at] !== COMMA) throw unexpected(text, at);
    at = skipSpace(text, at + 1);
  }
}

/** Reads the string that begins at `at`. */
export function readString(text: Uint8Array, at: number): { readonly value: string; readonly end: number } {
  const end = skipString(text, at);
  const source = Buffer.from(text.buffer, text.byteOffset + at, end - at).toString('utf8');
  return { value: JSON.parse(source) as string, end }; // a JSON string is a string
}

/** Refuses anything but white space from `at` on. */
export function checkEnd(text: Uint8Array, at: number): void {
  const end = skipSpace(text, at);
  if (end < text.length) throw unexpected(text, end);
}

function skipKey(text: Uint8Array, at: number): number {
  const colon = skipSpace(text, skipString(text, at));
  if (text[colon] !== COLON) throw unexpected(text, colon);
  return skipSpace(text, colon + 1);
}

function skipScalar(text: Uint8Array, at: number): number {
  const byte = text[at];
  if (byte === QUOTE) return skipString(text, at);
  if (byte === MINUS || isDigit(byte)) return skipNumber(text, at);
  for (const word of WORDS) if (byte === word[0] && word.every((one, i) => text[at + i] === one)) return at + word.length;
  throw unexpected(text, at);
}

function skipString(text: Uint8Array, at: number): number {
  if (text[at] !== QUOTE) throw unexpected(text, at);
  for (at++; ; at++) {
    const byte = text[at];
    if (byte === QUOTE) return at + 1;
    if (byte === undefined || byte < 0x20) throw unexpected(text, at);
    if (byte !== BACKSLASH) continue;
    const escape = text[++at] ?? 0;
    if (escape === 0x75) for (const end = at + 4; at < end;) if (!isHex(text[++at])) throw unexpected(text, at);
    if (escape !== 0x75 && !ESCAPES.has(escape)) throw unexpected(text, at);
  }
}

function skipNumber(text: Uint8Array, at: number): number {
  if (text[at] === MINUS) at++;
  if (text[at] === ZERO) at++;
  else at = skipDigits(text, at);
  if (text[at] === POINT) at = skipDigits(text, at + 1);
  if (text[at] === UPPER_E || text[at] === LOWER_E) {
    at++;
    if (text[at] === PLUS || text[at] === MINUS) at++;
    at = skipDigits(text, at);
  }
  return at;
}

function skipDigits(text: Uint8Array, at: number): number {
  if (!isDigit(text[at])) throw unexpected(text, at);
  while (isDigit(text[at])) at++;
  return at;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}

function isHex(byte: number | undefined): boolean {
  return isDigit(byte) || (byte !== undefined && (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66);
}

function doubled(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(bytes.length * 2);
  larger.set(bytes);
  return larger;
}

function unexpected(text: Uint8Array, at: number): JsonFault {
  return at >= text.length ? new JsonFault('Unexpected end of JSON input', text.length) : new JsonFault('Unexpected token in JSON', at);
}
