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
import { createWaitingQueue, type Waiting } from './waiting-queue.ts';

/** What Kafka adds to a record, about. */
const RECORD_OVERHEAD_BYTES = 100;
const EXPIRY_CHECK_MS = 50;

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
  const queue = createWaitingQueue();
  let inFlight: readonly Waiting[] = [];
  let alone: Waiting[] = [];
  let flushing: Promise<void> | undefined;
  let producer: Promise<Producer | undefined> = connect();

  /** Undefined once closed. */
  function connect(): Promise<Producer | undefined> {
    return connectUntil(closing.signal, options);
  }
  const flushAll = async (): Promise<void> => {
    await Promise.resolve(); // appends of the same turn go together
    const expiring = setInterval(expire, EXPIRY_CHECK_MS);
    while (queue.size() + alone.length > 0) {
      const connected = await producer;
      if (!connected) break;
      // One of several was refused for good: each goes by itself, so that its neighbours are written.
      inFlight = alone.length > 0 ? alone.splice(0, 1) : queue.dequeue(); // may be empty: what waited for the connection may have been refused meanwhile
      try {
        if (inFlight.length > 0) await flush(connected, inFlight, counters);
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
  /** What is in flight may be in the log all the same. */
  const expire = (): void => {
    const now = clock.monotonic();
    for (const one of [...inFlight.filter(({ deadline }) => deadline <= now), ...queue.removeExpired(now)])
      one.reject(new Refusal('LOG_UNAVAILABLE'));
    alone = alone.filter((one) => {
      if (one.deadline <= now) one.reject(new Refusal('LOG_UNAVAILABLE'));
      return one.deadline > now;
    });
  };
  const enqueue = (partition: number, messages: readonly Sized[]): Promise<number> => {
    let bytes = 0;
    for (const message of messages) bytes += sizeOf(message);
    if (isClosed || !queue.hasRoom(messages.length, bytes)) return Promise.reject(new Refusal('LOG_UNAVAILABLE'));
    return new Promise((resolve, reject) => {
      queue.enqueue({ partition, messages, bytes, deadline: clock.monotonic() + deadlineMs, resolve, reject });
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
      for (const one of [...alone.splice(0), ...queue.removeAll()]) one.reject(new Refusal('LOG_UNAVAILABLE'));
      await (await producer)?.close();
      await flushing;
    },
  };
}

/** Tries again, after a pause that grows, until it succeeds or the signal aborts. */
async function connectUntil(signal: AbortSignal, { connect, onFailure }: AppenderOptions): Promise<Producer | undefined> {
  const backoff = createBackoff(RETRY);
  while (!signal.aborted) {
    try {
      return await connect();
    } catch (error) {
      if (!signal.aborted) onFailure(error, 'connecting a producer');
      await delay(backoff.next(), signal);
    }
  }
  return undefined;
}

/** Sends appends as one, and resolves each with the end offset of its own records. */
async function flush(connected: Producer, dequeued: readonly Waiting[], counters: ReturnType<typeof appendCounters>): Promise<void> {
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
}

type Sized = { readonly key: string; readonly value: Buffer };

function sizeOf({ value }: Sized): number {
  return value.length + RECORD_OVERHEAD_BYTES;
}

function encode(record: EventRecord): Buffer {
  const bytes = encodeRecord(record);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length); // kafkajs takes buffers only
}
