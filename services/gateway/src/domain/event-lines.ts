import { isUtf8 } from 'node:buffer';
import type { EventSubmission } from '@evenfall/contracts/v1/event_service';
import { isRefusal, refuse, type Refusal } from '@evenfall/errors';
import { checkEnd, JsonFault, skipSpace } from '@evenfall/json-text';
import { readItem } from './batch-body.ts';

/** Bytes of a line beside its payload: a key, a delay, their names and quotes. */
const BESIDE_BYTES = 4 * 1024;
const LINE_END = 0x0a;

/** A line of events, read: what is asked for, or why it is turned away. */
export type EventLine = EventSubmission | Refusal;

/** Puts bytes together to lines; one that is too long is answered by a refusal, and the next is read again. Empty lines are none. */
export function lineReader(maxPayloadBytes: number): { read(chunk: Buffer): EventLine[]; end(): EventLine[] } {
  const most = maxPayloadBytes + BESIDE_BYTES;
  let begun: Buffer[] = [];
  let bytes = 0;
  const whole = (last: Buffer): EventLine | undefined => {
    const size = bytes + last.length;
    const line = begun.length === 0 ? last : Buffer.concat([...begun, last]);
    begun = [];
    bytes = 0;
    if (size > most) return refuse('PAYLOAD_TOO_LARGE', { size_bytes: size, max_bytes: maxPayloadBytes });
    return lineOf(line);
  };
  return {
    read(chunk) {
      const lines: EventLine[] = [];
      let at = 0;
      for (let end = chunk.indexOf(LINE_END); end >= 0; end = chunk.indexOf(LINE_END, at)) {
        const line = whole(chunk.subarray(at, end));
        if (line) lines.push(line);
        at = end + 1;
      }
      const rest = chunk.subarray(at);
      bytes += rest.length;
      // Of a line that is too long already its length is all that is kept.
      if (bytes > most) begun = [];
      else if (rest.length > 0) begun.push(Buffer.from(rest)); // a copy: the rest of the chunk may go
      return lines;
    },
    end() {
      const line = bytes > 0 ? whole(Buffer.alloc(0)) : undefined;
      return line ? [line] : [];
    },
  };
}

function lineOf(line: Buffer): EventLine | undefined {
  try {
    const begin = skipSpace(line, 0);
    if (begin === line.length) return undefined;
    if (!isUtf8(line)) return refuse('INVALID_JSON', { detail: 'it is not UTF-8' });
    const { submission, end } = readItem(line, begin, '');
    checkEnd(line, end);
    return submission;
  } catch (error) {
    if (error instanceof JsonFault) return refuse('INVALID_JSON', { detail: error.message });
    if (isRefusal(error)) return error;
    throw error;
  }
}
