import { type LogBatch, partOf } from '@evenfall/event-log';
import { recordBytes } from '@evenfall/event-model';

/** What one fold takes of records, about: its rows travel as one parameter. */
export const FOLD_BYTES: number = 8 * 1024 * 1024;

/** Cuts batches into portions of so many bytes at most, in order; the batches themselves where they fit. */
export function portionsOf(batches: readonly LogBatch[], maxBytes: number = FOLD_BYTES): readonly (readonly LogBatch[])[] {
  const portions: LogBatch[][] = [];
  let portion: LogBatch[] = [];
  let bytes = 0;
  for (const batch of batches) {
    let start = 0;
    for (let i = 0; i < batch.records.length; i++) {
      const record = batch.records[i];
      const size = record ? recordBytes(record) : 0;
      if (bytes > 0 && bytes + size > maxBytes) {
        if (i > start) portion.push(partOf(batch, start, i));
        portions.push(portion);
        [portion, bytes, start] = [[], 0, i];
      }
      bytes += size;
    }
    if (start < batch.records.length) portion.push(start === 0 ? batch : partOf(batch, start, batch.records.length));
  }
  if (portion.length > 0) portions.push(portion);
  return portions;
}

/** The two halves of some batches, by records. There are two records at least. */
export function halvesOf(batches: readonly LogBatch[]): readonly [LogBatch[], LogBatch[]] {
  let left = countOf(batches) >> 1;
  const halves: [LogBatch[], LogBatch[]] = [[], []];
  for (const batch of batches) {
    const count = batch.records.length;
    if (left >= count) halves[0].push(batch);
    else if (left === 0) halves[1].push(batch);
    else {
      halves[0].push(partOf(batch, 0, left));
      halves[1].push(partOf(batch, left, count));
    }
    left = Math.max(0, left - count);
  }
  return halves;
}

export function countOf(batches: readonly LogBatch[]): number {
  let count = 0;
  for (const { records } of batches) count += records.length;
  return count;
}
