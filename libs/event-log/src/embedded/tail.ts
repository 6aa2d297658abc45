import type { LogBatch } from '../port.ts';

/**
 * The newest batches this process wrote, as objects: a reader that follows closely does not read them from the database. Also what is known of the log's ends,
 * and who wants to be woken when one moves.
 */
export type Tail = {
  /** The highest known end offset. */
  knownEnd(partition: number): number;
  /** The same of every partition. */
  knownEnds(): ReadonlyMap<number, number>;
  /** Takes note of a written batch of so many bytes. */
  wrote(batch: LogBatch, bytes: number): void;
  /** Notes that a process wrote up to this offset. */
  noteEnd(partition: number, endOffset: number): void;
  /** Batches from exactly this offset on; empty if they are not here (any more). */
  from(partition: number, offset: number, maxRecords: number): readonly LogBatch[];
  onMove(listener: () => void): () => void;
};

/** Records kept per partition. Enough for a fold that lags by a few batches; a slower one reads from the table. */
const KEPT_RECORDS = 8_000;
const KEPT_BYTES = 16 * 1024 * 1024;
/** What one look gets at most, but for one batch. */
const LOOK_BYTES = 16 * 1024 * 1024;

type Kept = { batches: { readonly batch: LogBatch; readonly bytes: number }[]; records: number; bytes: number; end: number };

export function createTail(partitionCount: number): Tail {
  const kept: Kept[] = Array.from({ length: partitionCount }, () => ({ batches: [], records: 0, bytes: 0, end: 0 }));
  const listeners = new Set<() => void>();
  const of = (partition: number): Kept => kept[partition] as Kept; // partitions are 0 … count-1
  const move = (): void => listeners.forEach((listener) => listener());

  return {
    knownEnd: (partition) => of(partition).end,
    knownEnds: () => new Map(kept.map(({ end }, partition) => [partition, end])),
    wrote(batch, bytes) {
      const part = of(batch.partition);
      const end = batch.firstOffset + batch.records.length;
      const last = part.batches[part.batches.length - 1]?.batch;
      // Another process wrote in between: the cached batches would have a gap.
      if (last && last.firstOffset + last.records.length !== batch.firstOffset) {
        part.batches = [];
        part.records = 0;
        part.bytes = 0;
      }
      part.batches.push({ batch, bytes });
      part.records += batch.records.length;
      part.bytes += bytes;
      while ((part.records > KEPT_RECORDS || part.bytes > KEPT_BYTES) && part.batches.length > 1) {
        const oldest = part.batches.shift() as Kept['batches'][number]; // there are two at least
        part.records -= oldest.batch.records.length;
        part.bytes -= oldest.bytes;
      }
      part.end = Math.max(part.end, end);
      move();
    },
    noteEnd(partition, endOffset) {
      const part = kept[partition];
      if (!part || endOffset <= part.end) return;
      part.end = endOffset;
      move();
    },
    from(partition, offset, maxRecords) {
      const { batches } = of(partition);
      // Followers want the newest: looked for from the back.
      let at = batches.length - 1;
      while (at >= 0 && (batches[at]?.batch.firstOffset ?? 0) > offset) at--;
      if (at < 0 || batches[at]?.batch.firstOffset !== offset) return [];
      const found: LogBatch[] = [];
      let bytes = 0;
      for (let records = 0; at < batches.length && records < maxRecords && bytes < LOOK_BYTES; at++) {
        const one = batches[at] as Kept['batches'][number]; // at is within the list
        found.push(one.batch);
        records += one.batch.records.length;
        bytes += one.bytes;
      }
      return found;
    },
    onMove(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
