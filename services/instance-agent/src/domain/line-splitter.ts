/** The longest line that is kept, in bytes (SCF: 8 KB); what is longer is cut. */
export const MAX_LINE_BYTES = 8 * 1024;

const NEWLINE = 10;
const CARRIAGE_RETURN = 13;

export type LineSplitter = {
  push(chunk: Buffer, onLine: (text: string, bytes: number) => void): void;
  /** Hands out what stands without a line end. */
  flush(onLine: (text: string, bytes: number) => void): void;
};

/** Cuts one stream of bytes into lines. Holds at most one line of the longest length. */
export function lineSplitter(): LineSplitter {
  let held: Buffer[] = [];
  let heldBytes = 0;

  const hold = (bytes: Buffer): void => {
    const room = MAX_LINE_BYTES - heldBytes;
    if (room <= 0 || bytes.length === 0) return;
    const part = bytes.length > room ? bytes.subarray(0, room) : bytes;
    held.push(part);
    heldBytes += part.length;
  };
  const take = (onLine: (text: string, bytes: number) => void): void => {
    const line = held.length === 1 ? (held[0] as Buffer) : Buffer.concat(held, heldBytes); // length 1: there is one
    const end = line[line.length - 1] === CARRIAGE_RETURN ? line.length - 1 : line.length;
    held = [];
    heldBytes = 0;
    onLine(line.toString('utf8', 0, end), end);
  };

  return {
    push(chunk, onLine) {
      let from = 0;
      for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
        hold(chunk.subarray(from, at));
        take(onLine);
        from = at + 1;
      }
      hold(chunk.subarray(from));
    },
    flush(onLine) {
      if (heldBytes > 0) take(onLine);
    },
  };
}
