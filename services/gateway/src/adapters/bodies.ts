import type { EventSubmission } from '@evenfall/contracts/v1/event_service';
import { createWorkerPool } from '@evenfall/worker-pool';
import type { ProtoDuration } from '@evenfall/time';
import type { LargeBodies } from '../ports.ts';

/** One large body at a time is read on each: they take what the loop leaves of the processor. */
const THREADS = 2;
const MAX_WAITING = 64;
const MEMORY_MB = 512;
const WITHIN_MS = 30_000;

type Batch = {
  readonly payloads: Uint8Array;
  readonly items: readonly { readonly end: number; readonly idempotencyKey: string; readonly delay: ProtoDuration | undefined }[];
};
type Extract = { readonly rest: string; readonly taken: readonly { readonly path: string; readonly bytes: Uint8Array | undefined }[] };

/** Reads large bodies on threads of their own. */
export function largeBodies(): LargeBodies & { close(): Promise<void> } {
  const pool = createWorkerPool(new URL('./bodies-worker.ts', import.meta.url), {
    size: THREADS,
    maxWaiting: MAX_WAITING,
    memoryMb: MEMORY_MB,
    withinMs: WITHIN_MS,
  });
  return {
    async batch(parts) {
      const own = parts.map(alone);
      const { payloads, items } = await pool.run<Batch>(
        'batch',
        { parts: own },
        own.map(({ buffer }) => buffer),
      );
      let begin = 0;
      return items.map(({ end, idempotencyKey, delay }): EventSubmission => {
        // A copy: one event that waits must not hold all of them.
        const payload = Buffer.from(payloads.subarray(begin, end));
        begin = end;
        return { payload, idempotencyKey, delay };
      });
    },
    async extract(parts, { base64 = [], texts = [] }) {
      const own = parts.map(alone);
      const { rest, taken } = await pool.run<Extract>(
        'extract',
        { parts: own, base64, texts },
        own.map(({ buffer }) => buffer),
      );
      const values = taken.map(({ path, bytes }) => [path, bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)] as const);
      return { rest, taken: new Map(values) };
    },
    async check(payload) {
      const bytes = alone(payload);
      const back = await pool.run<Uint8Array>('check', { bytes }, [bytes.buffer]);
      return Buffer.from(back.buffer, back.byteOffset, back.length);
    },
    close: pool.close,
  };
}

/** Bytes in a buffer of their own: of a view all that is behind it would be copied. */
function alone(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer } = bytes;
  return buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength
    ? (bytes as Uint8Array<ArrayBuffer>)
    : new Uint8Array(bytes); // it was looked at
}
