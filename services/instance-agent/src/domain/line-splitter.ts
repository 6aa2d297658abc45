import { LIMITS } from '@evenfall/event-model';

/** The longest line that is kept, in bytes (SCF: 8 KB); a longer one is cut and marked. */
export const MAX_LINE_BYTES: number = LIMITS.logLineBytes;

const NEWLINE = 10;
const CARRIAGE_RETURN = 13;
/** Room for the mark of a line that is cut. */
const MARK_BYTES = 64;

/** `timeMs` is when the line was begun. */
export type OnLine = (text: string, bytes: number, timeMs: number) => void;

export type LineSplitter = {
  push(chunk: Buffer, nowMs: number, onLine: OnLine): void;
  /** Hands out a line that has no end yet, if it was begun before a time. */
  flush(onLine: OnLine, beforeMs?: number): void;
};

/**
 * Cuts one stream of bytes into lines. A line ends with `\n`, `\r\n`, or a `\r` that has text before it: programs show progress by writing over
 * their line. Holds at most one line of the longest length.
 */
export function lineSplitter(): LineSplitter {
  let held: Buffer[] = [];
  let heldBytes = 0;
  /** Of the complete line, kept or not. */
  let lineBytes = 0;
  let begunMs = 0;
  /** A `\n` now belongs to the `\r` before it. */
  let isAfterReturn = false;

  const hold = (bytes: Buffer, nowMs: number): void => {
    if (bytes.length === 0) return;
    if (lineBytes === 0) begunMs = nowMs;
    lineBytes += bytes.length;
    isAfterReturn = false;
    const part = bytes.subarray(0, Math.max(0, MAX_LINE_BYTES - heldBytes));
    if (part.length === 0) return;
    held.push(part);
    heldBytes += part.length;
  };
  const emitLine = (onLine: OnLine): void => {
    const line = held.length === 1 ? (held[0] as Buffer) : Buffer.concat(held, heldBytes); // length 1: there is one
    const wasBytes = lineBytes;
    held = [];
    heldBytes = 0;
    lineBytes = 0;
    if (wasBytes <= MAX_LINE_BYTES) return onLine(line.toString('utf8'), wasBytes, begunMs);
    const text = `${line.toString('utf8', 0, wholeCharacters(line, MAX_LINE_BYTES - MARK_BYTES))}… [cut from ${wasBytes} bytes]`;
    onLine(text, Buffer.byteLength(text), begunMs);
  };
  const endLine = (byte: number, nowMs: number, onLine: OnLine): void => {
    if (byte === NEWLINE) {
      if (lineBytes === 0) begunMs = nowMs;
      if (!isAfterReturn) emitLine(onLine);
      isAfterReturn = false;
    } else if (lineBytes > 0) {
      emitLine(onLine);
      isAfterReturn = true;
    }
  };

  return {
    push(chunk, nowMs, onLine) {
      let from = 0;
      let newline = chunk.indexOf(NEWLINE);
      let carriage = chunk.indexOf(CARRIAGE_RETURN);
      while (newline >= 0 || carriage >= 0) {
        const at = newline < 0 ? carriage : carriage < 0 ? newline : Math.min(newline, carriage);
        hold(chunk.subarray(from, at), nowMs);
        endLine(chunk[at] ?? NEWLINE, nowMs, onLine);
        from = at + 1;
        if (at === newline) newline = chunk.indexOf(NEWLINE, from);
        else carriage = chunk.indexOf(CARRIAGE_RETURN, from);
      }
      hold(chunk.subarray(from), nowMs);
    },
    flush(onLine, beforeMs = Number.POSITIVE_INFINITY) {
      if (lineBytes > 0 && begunMs < beforeMs) emitLine(onLine);
    },
  };
}

/** So many bytes at most, no character of UTF-8 cut in half. */
function wholeCharacters(bytes: Buffer, most: number): number {
  let end = Math.min(bytes.length, most);
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return end;
}
