import type { Message } from 'kafkajs';
import { EventRecord } from '@evenfall/contracts/log/v1/record';
import { Refusal } from '@evenfall/errors';
import { type Clock, delay } from '@evenfall/time';
import { appendCounters } from '../counters.ts';
import { within } from './deadline.ts';
import type { Producer } from './producer.ts';

/** What one flush takes at most, in all and of one partition; an append is never split, and may be larger. */
const FLUSH_RECORDS = 4_000;
const FLUSH_BYTES = 16 * 1024 * 1024;
const PARTITION_BYTES = 4 * 1024 * 1024;
/** An append is one batch of a partition: the topic takes 8 MiB. */
const APPEND_BYTES = 7.5 * 1024 * 1024;
/** What may wait for a flush; beyond it appends are refused rather than kept in memory. */
const WAITING_RECORDS = 200_000;
const WAITING_BYTES = 64 * 1024 * 1024;
/** What Kafka adds to a record, about. */
const RECORD_OVERHEAD_BYTES = 100;
const EXPIRY_CHECK_MS = 50;

type Waiting = {
  readonly partition: number;
  readonly messages: readonly Message[];
  readonly bytes: number;
  /** Monotonic. */
  readonly deadline: number;
  readonly resolve: (endOffset: number) => void;
  readonly reject: (error: unknown) => void;
};

export type AppenderOptions = {
  /** Connects a new producer, with a new producer id. */
  readonly connect: () => Promise<Producer>;
  readonly clock: Clock;
  /** Of every append. */
  readonly deadlineMs: number;
  readonly onFailure: (error: unknown, doing: string) => void;
};

/**
 * Group commit: one flush is in flight, ever; what is appended meanwhile is the next one. A producer whose flush has failed is given up
 * before anything else is sent. While there is none, appends wait until their deadline.
 */
export function createAppender(options: AppenderOptions) {
  const { clock, deadlineMs, onFailure } = options;
  const counters = appendCounters();
  const closing = new AbortController();
  let isClosed = false;
  let waiting: Waiting[] = [];
  let inFlight: readonly Waiting[] = [];
  let waitingRecords = 0;
  let waitingBytes = 0;
  let flushing: Promise<void> | undefined;
  let producer: Promise<Producer | undefined> = connect();

  /** Undefined once closed. */
  async function connect(): Promise<Producer | undefined> {
    for (let pauseMs = 50; !closing.signal.aborted; pauseMs = Math.min(pauseMs * 2, 2_000)) {
      try {
        return await options.connect();
      } catch (error) {
        if (!closing.signal.aborted) onFailure(error, 'connecting a producer');
        await delay(pauseMs, closing.signal);
      }
    }
    return undefined;
  }
  const flushAll = async (): Promise<void> => {
    await Promise.resolve(); // appends of the same turn go together
    const expiring = setInterval(expire, EXPIRY_CHECK_MS);
    while (waiting.length > 0) {
      const connected = await producer;
      if (!connected) break;
      inFlight = take(); // may be empty: what waited for the connection may have been refused meanwhile
      try {
        if (inFlight.length > 0) await flush(connected, inFlight);
      } catch (cause) {
        connected.kill();
        producer = connect();
        onFailure(cause, 'writing to the event log');
        for (const one of inFlight) one.reject(new Refusal('LOG_UNAVAILABLE', {}, { cause }));
      }
      inFlight = [];
    }
    clearInterval(expiring);
    flushing = undefined;
  };
  const flush = async (connected: Producer, taken: readonly Waiting[]): Promise<void> => {
    const byPartition = new Map<number, Message[]>();
    const positions = taken.map(({ partition, messages }) => {
      let part = byPartition.get(partition);
      if (!part) byPartition.set(partition, (part = []));
      for (const message of messages) part.push(message);
      return part.length;
    });
    const offsets = await connected.send(byPartition);
    counters.flushes_total++;
    counters.appends_total += taken.length;
    taken.forEach((one, i) => {
      counters.records_total += one.messages.length;
      one.resolve((offsets.get(one.partition) ?? 0) + (positions[i] ?? 0));
    });
  };
  const take = (): Waiting[] => {
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
    return remove(count);
  };
  const remove = (count: number): Waiting[] => {
    const removed = waiting.slice(0, count);
    waiting = waiting.slice(count);
    for (const one of removed) {
      waitingRecords -= one.messages.length;
      waitingBytes -= one.bytes;
    }
    return removed;
  };
  /** Deadlines are in the order of arrival. Of what is in flight it is not known whether it will be in the log. */
  const expire = (): void => {
    const now = clock.monotonic();
    const late = waiting.findIndex((one) => one.deadline > now);
    const expired = remove(late === -1 ? waiting.length : late);
    for (const one of [...inFlight.filter(({ deadline }) => deadline <= now), ...expired]) one.reject(new Refusal('LOG_UNAVAILABLE'));
  };

  return {
    async append(partition: number, records: readonly EventRecord[]): Promise<number> {
      const messages = records.map((record) => ({ key: record.eventId, value: encode(record) }));
      let bytes = 0;
      for (const { value } of messages) bytes += value.length + RECORD_OVERHEAD_BYTES;
      if (bytes > APPEND_BYTES) throw new Error(`An append of ${bytes} bytes is more than the ${APPEND_BYTES} that the event log takes`);
      if (isClosed || waitingRecords + records.length > WAITING_RECORDS || waitingBytes + bytes > WAITING_BYTES) {
        throw new Refusal('LOG_UNAVAILABLE');
      }
      return new Promise((resolve, reject) => {
        waiting.push({ partition, messages, bytes, deadline: clock.monotonic() + deadlineMs, resolve, reject });
        waitingRecords += records.length;
        waitingBytes += bytes;
        flushing ??= flushAll();
      });
    },
    /** Waits for what was appended, at most until its deadline; what cannot be written by then is refused. */
    async close(): Promise<void> {
      isClosed = true;
      if (flushing) await within(deadlineMs, 'Writing what was appended', flushing).catch(() => undefined); // refused next
      closing.abort();
      for (const one of remove(waiting.length)) one.reject(new Refusal('LOG_UNAVAILABLE'));
      await (await producer)?.close();
      await flushing;
    },
  };
}

function encode(record: EventRecord): Buffer {
  const bytes = EventRecord.encode(record).finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length); // kafkajs takes buffers only
}
