import type { EventSubmission } from '@evenfall/contracts/v1/event_service';
import { refuse, type Refusal } from '@evenfall/errors';
import { skipSpace } from '@evenfall/json-text';
import { submissionOf } from './batch-body.ts';

/** Bytes of a line besides its payload: a key, a delay, their names and quotes. */
const BESIDE_BYTES = 4 * 1024;
const LINE_END = 0x0a;

/** A line, read: the event that it submits, or why it is refused. */
export type EventLine = EventSubmission | Refusal;

/** Joins bytes to lines. A line that is too long is a refusal, and reading goes on with the next. Empty lines are skipped. */
export function lineReader(maxPayloadBytes: number): { read(chunk: Buffer): EventLine[]; end(): EventLine[] } {
  const most = maxPayloadBytes + BESIDE_BYTES;
  let parts: Buffer[] = [];
  let bytes = 0;
  const complete = (last: Buffer): EventLine | undefined => {
    const size = bytes + last.length;
    const line = parts.length === 0 ? last : Buffer.concat([...parts, last]);
    parts = [];
    bytes = 0;
    if (size > most) return refuse('PAYLOAD_TOO_LARGE', { size_bytes: size, max_bytes: maxPayloadBytes });
    return lineOf(line);
  };
  return {
    read(chunk) {
      const lines: EventLine[] = [];
      let at = 0;
      for (let end = chunk.indexOf(LINE_END); end >= 0; end = chunk.indexOf(LINE_END, at)) {
        const line = complete(chunk.subarray(at, end));
        if (line) lines.push(line);
        at = end + 1;
      }
      const rest = chunk.subarray(at);
      bytes += rest.length;
      // Of a line that is already too long only the length is kept.
      if (bytes > most) parts = [];
      else if (rest.length > 0) parts.push(Buffer.from(rest)); // a copy: the rest of the chunk may go
      return lines;
    },
    end() {
      const line = bytes > 0 ? complete(Buffer.alloc(0)) : undefined;
      return line ? [line] : [];
    },
  };
}

function lineOf(line: Buffer): EventLine | undefined {
  const begin = skipSpace(line, 0);
  return begin === line.length ? undefined : submissionOf(line, begin);
}
