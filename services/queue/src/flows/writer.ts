import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { WRITE_BYTES } from '@evenfall/event-log';
import { createOutbox } from '../domain/outbox.ts';
import type { Appended, FailingAppend, Outgoing, Subject } from '../domain/types.ts';
import type { QueuePorts } from '../ports.ts';
import { appendRecords } from './append-records.ts';
import type { FlushSchedule } from './flush-schedule.ts';
import type { Counters } from './counters.ts';

/**
 * Writes the records of one tenure to the log, in order, and reports each once it is committed and not fenced. A failed append is retried until
 * it succeeds, and a record the log refuses for good is replaced: what was decided is not taken back. That a record is durable is not enough: a new
 * owner's record may have come before it, and then it changes nothing. It is not fenced once it was read back without one.
 */
export type Writer = {
  add(subject: Subject, record: EventRecord): void;
  /** Notes that the log was read up to here, and no other owner's record was there. */
  readUpTo(endOffset: number): void;
  /** The offset after the newest record that is known to be durable; 0 without one. */
  readonly endOffset: number;
  /** The offset up to which the partition was read. */
  readonly readEnd: number;
  /** The append that failed when it was tried last. */
  readonly failing: FailingAppend | undefined;
  /** Ends with the tenure: drops everything that is not committed. Nothing more is written. */
  close(): void;
  /** Waits until nothing is on its way. */
  idle(): Promise<void>;
};

/** Called with each record that is committed and not fenced. */
export type OnCommitted = (subject: Subject, record: EventRecord) => void;

export type WriterParts = {
  readonly queue: QueuePorts;
  readonly partition: number;
  readonly schedule: FlushSchedule;
  readonly counters: Counters;
  readonly onCommitted: OnCommitted;
};

export function createWriter({ queue, partition, schedule, counters, onCommitted }: WriterParts): Writer {
  const outbox = createOutbox(schedule.totals);
  /** In the log, and not read back yet. */
  const unread: Appended[] = [];
  const idlers: (() => void)[] = [];
  let isAppending = false;
  let isClosed = false;
  let endOffset = 0;
  let readEnd = 0;
  let failing: FailingAppend | undefined;

  const onTry = (error: unknown): void => {
    if (error !== undefined) counters.append_failures_total++;
    failing = error === undefined ? undefined : failingAppend(partition, failing?.sinceMs ?? queue.clock.monotonic(), error);
  };
  const onRefused = (): void => {
    counters.records_replaced_total++;
  };
  const terms = { partition, isCurrent: () => !isClosed, onTry, onRefused };
  const isIdle = (): boolean => isClosed || (outbox.size === 0 && !isAppending && unread.length === 0);
  const wakeIdlers = (): void => {
    if (idlers.length > 0 && (isIdle() || outbox.size > 0)) for (const resolve of idlers.splice(0)) resolve();
  };
  const append = async (batch: readonly Outgoing[]): Promise<void> => {
    isAppending = true;
    const appended = await appendRecords(queue, batch, terms);
    isAppending = false;
    if (appended && appended.written.length > 0) {
      endOffset = appended.end;
      if (appended.end <= readEnd) report(onCommitted, appended);
      else unread.push(appended);
    }
    if (outbox.size > 0) schedule.request(flush);
    wakeIdlers();
  };
  const flush = (): void => {
    if (!isAppending && outbox.size > 0) void append(outbox.dequeue(WRITE_BYTES));
  };
  return {
    add(subject, record) {
      if (isClosed) return;
      outbox.add(subject, record);
      schedule.added(flush);
    },
    readUpTo(offset) {
      readEnd = offset;
      if (unread.length === 0) return;
      const count = unread.findIndex(({ end }) => end > offset);
      for (const read of unread.splice(0, count < 0 ? unread.length : count)) report(onCommitted, read);
      wakeIdlers();
    },
    get endOffset() {
      return endOffset;
    },
    get readEnd() {
      return readEnd;
    },
    get failing() {
      return failing;
    },
    close() {
      isClosed = true;
      failing = undefined;
      outbox.dequeue();
      unread.length = 0;
      wakeIdlers();
    },
    async idle() {
      while (!isIdle()) {
        flush();
        await new Promise<void>((resolve) => idlers.push(resolve));
      }
    },
  };
}

function report(onCommitted: OnCommitted, { written }: Appended): void {
  for (const { subject, record } of written) onCommitted(subject, record);
}

function failingAppend(partition: number, sinceMs: number, error: unknown): FailingAppend {
  return { partition, sinceMs, error: error instanceof Error ? error.message : 'it gave no reason' };
}
