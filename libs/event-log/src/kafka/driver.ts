import { OperatorError, refuse } from '@evenfall/errors';
import { systemClock } from '@evenfall/time';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EventLog, Subscription } from '../port.ts';
import { createAppender } from './appender.ts';
import { type Client, createClient } from './client.ts';
import { within } from './deadline.ts';
import { createEnds } from './ends.ts';
import { follow } from './group.ts';
import type { KafkaLogOptions } from './options.ts';
import { connectProducer } from './producer.ts';
import { ensureTopic } from './topic.ts';

/** Tries within a deadline: often enough to live through the election of a leader. */
const WRITE_RETRY = { retries: 20, initialRetryTime: 50, maxRetryTime: 300 };
const ASK_RETRY = { retries: 3, initialRetryTime: 50, maxRetryTime: 500 };

/**
 * Opens the log in Kafka: one message a record, so that Kafka's offsets are the log's. Makes the topic if it is missing. Rejects with an
 * `OperatorError` if no broker answers, or the topic is not one that can be used.
 */
export async function openKafkaLog(options: KafkaLogOptions): Promise<EventLog> {
  const { connection, log, onFailure } = options;
  const { topic, partitionCount } = options.topic;
  const deadlineMs = options.deadlineMs ?? 5_000;
  const clientFor = (retry: typeof ASK_RETRY): Client => createClient({ connection, requestTimeoutMs: deadlineMs, retry, log });
  await prepare(options, () => clientFor(ASK_RETRY), deadlineMs);

  const appender = createAppender({
    connect: () => connectProducer({ client: clientFor(WRITE_RETRY), topic, compression: options.compression ?? 'none', deadlineMs }),
    clock: systemClock,
    deadlineMs,
    onFailure,
  });
  const ends = createEnds(() => clientFor(ASK_RETRY), topic, deadlineMs);
  const subscriptions = new Set<Subscription>();
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await Promise.all([...subscriptions].map((subscription) => subscription.stop()));
    await appender.close();
    await ends.close();
  };
  return {
    partitionCount,
    append: appender.append,
    async endOffsets() {
      if (closing) throw refuse('LOG_UNAVAILABLE');
      return new Map([...(await ends.bounds())].map(([partition, { high }]) => [partition, high]));
    },
    subscribe(subscriber) {
      const group = {
        newClient: () => clientFor(ASK_RETRY),
        topic,
        partitionCount,
        bounds: ends.bounds,
        sessionTimeoutMs: options.sessionTimeoutMs ?? 10_000,
        heartbeatIntervalMs: options.heartbeatIntervalMs ?? 1_000,
        rebalanceTimeoutMs: options.rebalanceTimeoutMs ?? 20_000,
        maxWaitMs: options.maxWaitMs ?? 250,
        clock: systemClock,
        onFailure,
      };
      const subscription = follow(group, subscriber);
      subscriptions.add(subscription);
      return subscription;
    },
    close: () => (closing ??= close()),
  };
}

/** Waits for a broker, and makes or checks the topic. A Kafka that starts at the same time as its users is waited for. */
async function prepare(options: KafkaLogOptions, newClient: () => Client, deadlineMs: number): Promise<void> {
  const until = performance.now() + (options.openWithinMs ?? 30_000);
  for (;;) {
    const client = newClient();
    const admin = client.kafka.admin();
    const prepared = admin.connect().then(() => ensureTopic(admin, options.topic, options.log));
    try {
      await within(3 * deadlineMs, 'Preparing the topic', prepared);
      await within(1_000, 'Leaving', admin.disconnect()).catch(() => undefined); // it is killed next
      return;
    } catch (cause) {
      if (cause instanceof OperatorError) throw cause;
      if (performance.now() > until) {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new OperatorError(`The Kafka of EVENFALL_KAFKA_BROKERS (${options.connection.brokers.join(', ')}) cannot be used: ${why}.`, {
          cause,
        });
      }
    } finally {
      client.kill();
    }
    await sleep(200);
  }
}
