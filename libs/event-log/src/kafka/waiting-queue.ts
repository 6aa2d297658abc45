import type { Message } from 'kafkajs';
import { WRITE_BYTES } from '../refused.ts';

/** Bounds of one flush, in all and of one partition; a write is never split, and one record may be larger. */
const FLUSH_RECORDS = 4_000;
const FLUSH_BYTES = 16 * 1024 * 1024;
const PARTITION_BYTES = WRITE_BYTES;
/** What may wait for a flush; beyond it appends are refused rather than kept in memory. */
const WAITING_RECORDS = 200_000;
const WAITING_BYTES = 64 * 1024 * 1024;

/** Records of one append that wait for a flush. */
export type Waiting = {
  readonly partition: number;
  readonly messages: readonly Message[];
  readonly bytes: number;
  /** Monotonic. */
  readonly deadline: number;
  readonly resolve: (endOffset: number) => void;
  readonly reject: (error: unknown) => void;
};

/** Appends that wait for a flush, in the order of arrival, which is also the order of their deadlines. */
export function createWaitingQueue() {
  let waiting: Waiting[] = [];
  let waitingRecords = 0;
  let waitingBytes = 0;
  const remove = (count: number): Waiting[] => {
    const removed = waiting.slice(0, count);
    waiting = waiting.slice(count);
    for (const one of removed) {
      waitingRecords -= one.messages.length;
      waitingBytes -= one.bytes;
    }
    return removed;
  };
  return {
    size: (): number => waiting.length,
    hasRoom: (records: number, bytes: number): boolean =>
      waitingRecords + records <= WAITING_RECORDS && waitingBytes + bytes <= WAITING_BYTES,
    enqueue(one: Waiting): void {
      waiting.push(one);
      waitingRecords += one.messages.length;
      waitingBytes += one.bytes;
    },
    /** Removes what goes into one flush. */
    dequeue: (): Waiting[] => remove(countOfFlush(waiting)),
    removeExpired(nowMs: number): Waiting[] {
      const late = waiting.findIndex((one) => one.deadline > nowMs);
      return remove(late === -1 ? waiting.length : late);
    },
    removeAll: (): Waiting[] => remove(waiting.length),
  };
}

function countOfFlush(waiting: readonly Waiting[]): number {
  const partitionBytes = new Map<number, number>();
  let count = 0;
  let records = 0;
  let bytes = 0;
  for (const one of waiting) {
    const ofPartition = (partitionBytes.get(one.partition) ?? 0) + one.bytes;
    const isFull = records + one.messages.length > FLUSH_RECORDS || bytes + one.bytes > FLUSH_BYTES || ofPartition > PARTITION_BYTES;
    if (isFull && count > 0) break;
    partitionBytes.set(one.partition, ofPartition);
    records += one.messages.length;
    bytes += one.bytes;
    count++;
  }
  return count;
}
