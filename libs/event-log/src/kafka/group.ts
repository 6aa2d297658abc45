import type { Batch, Consumer, ConsumerConfig, KafkaMessage } from 'kafkajs';
import { type Clock, createBackoff, delay } from '@evenfall/time';
import { decodeRecords } from '../decode.ts';
import type { Subscriber, Subscription } from '../port.ts';
import { stickyAssigner } from './assigner.ts';
import type { Client } from './client.ts';
import { within } from './deadline.ts';
import type { Bounds } from './ends.ts';
import { createMembership } from './membership.ts';
import { createReader, type Fetching } from './reader.ts';
import { RETRY } from '../retry.ts';

const EMPTY = new Uint8Array();
/** How often applied offsets are written down. Only dashboards look at them: a reader says itself where it begins. */
const NOTE_MS = 1_000;

export type GroupOptions = {
  readonly newClient: () => Client;
  readonly topic: string;
  readonly partitionCount: number;
  readonly bounds: () => Promise<ReadonlyMap<number, Bounds>>;
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly maxWaitMs: number;
  readonly clock: Clock;
  readonly onFailure: (error: unknown, doing: string) => void;
};

/** Follows the log as a member of the group `<topic>.<name>`, which shares the partitions. A consumer that fails is replaced, for ever. */
export function follow(options: GroupOptions, subscriber: Subscriber): Subscription {
  const { topic, clock, onFailure } = options;
  const stopping = new AbortController();
  const noted = new Map<number, number>();
  let consumer: Consumer | undefined;
  let hasJoined = false;
  const membership = createMembership(clock, options.sessionTimeoutMs, {
    onHeartbeat: () => reader.wake(),
    onExpelled: () => reader.revoke(),
  });
  const reader = createReader({ subscriber, bounds: options.bounds, isCurrent: membership.isCurrent, onFailure });
  let claimed: readonly number[] = [];
  const assigner = stickyAssigner(topic, options.partitionCount, () => ({ generation: membership.generation(), partitions: claimed }));

  /** Runs one consumer until it fails, or reading stops. */
  const consume = async (): Promise<void> => {
    const client = options.newClient();
    const running = client.kafka.consumer({
      ...consumerConfig(options, subscriber.name),
      partitionAssigners: [
        (given) => {
          membership.watch(given.cluster);
          return assigner(given);
        },
      ],
    });
    const fetching = fetchingOf(running, topic);
    const failed = new Promise<never>((_, reject) => running.on(running.events.CRASH, ({ payload }) => reject(payload.error)));
    failed.catch(() => undefined); // also waited for below
    running.on(running.events.GROUP_JOIN, ({ payload }) => {
      hasJoined = true;
      claimed = [...(payload.memberAssignment[topic] ?? [])];
      reader.assign(claimed, membership.settle(), fetching);
    });
    const run = async (): Promise<never> => {
      await running.connect();
      await running.subscribe({ topic, fromBeginning: true });
      await running.run({
        autoCommit: false,
        eachBatch: async ({ batch }) => receiveBatch(reader, batch), // never waits: heartbeats go on whatever `apply` does
      });
      return failed;
    };
    try {
      consumer = running;
      await Promise.race([run(), stopped]);
      // In order, so that the group need not wait for the session to end before others take over.
      await within(500, 'Writing down what was applied', note()).catch(() => undefined);
      await within(2_000, 'Leaving', running.disconnect()).catch(() => undefined);
    } finally {
      consumer = undefined;
      membership.end();
      reader.revoke();
      client.kill();
    }
  };
  const note = async (): Promise<void> => {
    if (noted.size === 0) return;
    const offsets = [...noted].map(([partition, offset]) => ({ topic, partition, offset: String(offset) }));
    noted.clear();
    await consumer?.commitOffsets(offsets);
  };
  const supervise = async (): Promise<void> => {
    const backoff = createBackoff(RETRY);
    while (!stopping.signal.aborted) {
      hasJoined = false;
      await consume().catch((error: unknown) => {
        if (!stopping.signal.aborted) onFailure(error, `reading the event log (${subscriber.name})`);
      });
      if (hasJoined) backoff.reset();
      await delay(backoff.next(), stopping.signal);
    }
  };
  const { promise: stopped, resolve: stop } = Promise.withResolvers<undefined>();
  const noting = setInterval(() => void note().catch(() => undefined), NOTE_MS);
  const supervised = supervise();

  return {
    applied(endOffsets) {
      for (const [partition, end] of endOffsets) noted.set(partition, end);
    },
    isOwner: membership.isCurrent,
    again: () => reader.again(),
    async stop() {
      clearInterval(noting);
      stopping.abort();
      await reader.stop(); // no other member reads before this one has released its partitions
      stop(undefined);
      await supervised;
    },
  };
}

function consumerConfig(options: GroupOptions, name: string): Omit<ConsumerConfig, 'partitionAssigners'> {
  return {
    groupId: `${options.topic}.${name}`,
    sessionTimeout: options.sessionTimeoutMs,
    heartbeatInterval: options.heartbeatIntervalMs,
    rebalanceTimeout: options.rebalanceTimeoutMs,
    maxWaitTimeInMs: options.maxWaitMs,
    readUncommitted: true, // there are no transactions
    allowAutoTopicCreation: false,
    // After a few tries the consumer is replaced, with new connections: kafkajs does not recover from every failure by itself.
    retry: { retries: 3, initialRetryTime: 100, maxRetryTime: 1_000, restartOnFailure: () => Promise.resolve(false) },
  };
}

/** Hands a batch to the reader, which decodes it if it is wanted. */
function receiveBatch(reader: ReturnType<typeof createReader>, { partition, messages }: Batch): void {
  const [first, last] = [Number(messages[0]?.offset), Number(messages[messages.length - 1]?.offset)];
  let bytes = 0;
  for (const { value } of messages) bytes += value?.length ?? 0;
  reader.receive(partition, first, bytes, () => {
    if (last - first + 1 !== messages.length) throw new Error(`The log has gaps from ${first} to ${last} of partition ${partition}`);
    const values = messages.map(({ value }) => value ?? EMPTY);
    const byBroker = messages.every(isByBroker);
    const appendTimesMs = messages.map(({ timestamp }) => Number(timestamp));
    return { ...decodeRecords(partition, first, values), appendTimesMs, ...(byBroker ? {} : { byWriterClock: true as const }) };
  });
}

/** kafkajs hands its decoded batch on with every message, and has no type for that; 1 is LogAppendTime. */
type DecodedMessage = KafkaMessage & { readonly batchContext?: { readonly timestampType?: number } };

/** Whether the time of a message is the broker's; else it is the producer's, as it wrote it. */
function isByBroker(message: DecodedMessage): boolean {
  return message.batchContext?.timestampType === 1;
}

/** A consumer that has crashed forgets its group, and refuses these; the CRASH event reports what follows. */
function fetchingOf(consumer: Consumer, topic: string): Fetching {
  const unlessCrashed = (act: () => void): void => {
    try {
      act();
    } catch {
      // see above
    }
  };
  return {
    seek: (partition, offset) => unlessCrashed(() => consumer.seek({ topic, partition, offset: String(offset) })),
    pause: (partitions) => unlessCrashed(() => consumer.pause([{ topic, partitions: [...partitions] }])),
    resume: (partitions) => unlessCrashed(() => consumer.resume([{ topic, partitions: [...partitions] }])),
  };
}
