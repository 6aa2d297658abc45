import type { Message } from 'kafkajs';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { Refusal } from '@evenfall/errors';
import { inParts } from '@evenfall/event-model';
import { type Clock, createBackoff, delay } from '@evenfall/time';
import { appendCounters } from '../counters.ts';
import { encodeRecord, RecordsRefused, WRITE_BYTES } from '../refused.ts';
import { within } from './deadline.ts';
import { isPermanent } from './permanent.ts';
import type { Producer } from './producer.ts';
import { RETRY } from '../retry.ts';

/** What one flush takes at most, in all and of one partition; a write is never split, and one record may be larger. */
const FLUSH_RECORDS = 4_000;
const FLUSH_BYTES = 16 * 1024 * 1024;
const PARTITION_BYTES = WRITE_BYTES;
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
  let alone: Waiting[] = [];
  let waitingRecords = 0;
  let waitingBytes = 0;
  let flushing: Promise<void> | undefined;
  let producer: Promise<Producer | undefined> = connect();

  /** Undefined once closed. */
  async function connect(): Promise<Producer | undefined> {
    const backoff = createBackoff(RETRY);
    while (!closing.signal.aborted) {
      try {
        return await options.connect();
      } catch (error) {
        if (!closing.signal.aborted) onFailure(error, 'connecting a producer');
        await delay(backoff.next(), closing.signal);
      }
    }
    return undefined;
  }
  const flushAll = async (): Promise<void> => {
    await Promise.resolve(); // appends of the same turn go together
    const expiring = setInterval(expire, EXPIRY_CHECK_MS);
    while (waiting.length + alone.length > 0) {
      const connected = await producer;
      if (!connected) break;
      // One of several was refused for good: each goes by itself, so that its neighbours are written.
      inFlight = alone.length > 0 ? alone.splice(0, 1) : dequeue(); // may be empty: what waited for the connection may have been refused meanwhile
      try {
        if (inFlight.length > 0) await flush(connected, inFlight);
      } catch (cause) {
        connected.kill();
        producer = connect();
        onFailure(cause, 'writing to the event log');
        if (!isPermanent(cause)) for (const one of inFlight) one.reject(new Refusal('LOG_UNAVAILABLE', {}, { cause }));
        else if (inFlight.length > 1) alone = [...inFlight, ...alone];
        else inFlight[0]?.reject(new RecordsRefused('REFUSED', `Kafka does not take it: ${String(cause)}`, { cause }));
      }
      inFlight = [];
    }
    clearInterval(expiring);
    flushing = undefined;
  };
  const flush = async (connected: Producer, dequeued: readonly Waiting[]): Promise<void> => {
    const byPartition = new Map<number, Message[]>();
    const positions = dequeued.map(({ partition, messages }) => {
      let part = byPartition.get(partition);
      if (!part) byPartition.set(partition, (part = []));
      for (const message of messages) part.push(message);
      return part.length;
    });
    const offsets = await connected.send(byPartition);
    counters.flushes_total++;
    counters.appends_total += dequeued.length;
    dequeued.forEach((one, i) => {
      counters.records_total += one.messages.length;
      one.resolve((offsets.get(one.partition) ?? 0) + (positions[i] ?? 0));
    });
  };
  const dequeue = (): Waiting[] => {
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
    alone = alone.filter((one) => {
      if (one.deadline <= now) one.reject(new Refusal('LOG_UNAVAILABLE'));
      return one.deadline > now;
    });
  };
  const enqueue = (partition: number, messages: readonly Sized[]): Promise<number> => {
    let bytes = 0;
    for (const message of messages) bytes += sizeOf(message);
    if (isClosed || waitingRecords + messages.length > WAITING_RECORDS || waitingBytes + bytes > WAITING_BYTES) {
      return Promise.reject(new Refusal('LOG_UNAVAILABLE'));
    }
    return new Promise((resolve, reject) => {
      waiting.push({ partition, messages, bytes, deadline: clock.monotonic() + deadlineMs, resolve, reject });
      waitingRecords += messages.length;
      waitingBytes += bytes;
      flushing ??= flushAll();
    });
  };

  return {
    async append(partition: number, records: readonly EventRecord[]): Promise<number> {
      const messages = records.map((record): Sized => ({ key: record.eventId, value: encode(record) }));
      let end = 0;
      // One after the other: should one fail, nothing behind it is in the log.
      for (const part of inParts(messages, sizeOf, WRITE_BYTES)) end = await enqueue(partition, part);
      return end;
    },
    /** Waits for what was appended, at most until its deadline; what cannot be written by then is refused. */
    async close(): Promise<void> {
      isClosed = true;
      if (flushing) await within(deadlineMs, 'Writing what was appended', flushing).catch(() => undefined); // refused next
      closing.abort();
      for (const one of [...alone.splice(0), ...remove(waiting.length)]) one.reject(new Refusal('LOG_UNAVAILABLE'));
      await (await producer)?.close();
      await flushing;
    },
  };
}

type Sized = { readonly key: string; readonly value: Buffer };

function sizeOf({ value }: Sized): number {
  return value.length + RECORD_OVERHEAD_BYTES;
}

function encode(record: EventRecord): Buffer {
  const bytes = encodeRecord(record);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length); // kafkajs takes buffers only
}
