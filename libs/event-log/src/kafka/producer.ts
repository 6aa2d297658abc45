import kafkajs, { type Message } from 'kafkajs';
import type { Client } from './client.ts';
import { within } from './deadline.ts';

/** A connection that writes, with a producer id of its own. One `send` at a time, and none after one has failed. */
export type Producer = {
  /** Writes messages by partition; answers the offset of the first of each. */
  send(messages: ReadonlyMap<number, readonly Message[]>): Promise<ReadonlyMap<number, number>>;
  /** Leaves in order, if it can do so at once. */
  close(): Promise<void>;
  /** Gives it up; what is under way fails. */
  kill(): void;
};

export type ProducerOptions = {
  readonly client: Client;
  readonly topic: string;
  readonly compression: 'none' | 'gzip';
  /** For connecting, and for each `send`. */
  readonly deadlineMs: number;
};

/**
 * Connects an idempotent producer. What makes it safe is that there is one `send` at a time: kafkajs numbers the messages of a partition,
 * and takes the numbers back when a request fails. With a second request under way the next one would get numbers that the broker has seen,
 * be treated as a repetition and dropped without an error. For the same reason it cannot be used after a `send` has failed: its owner
 * kills it, and a new one begins with a new producer id.
 */
export async function connectProducer({ client, topic, compression, deadlineMs }: ProducerOptions): Promise<Producer> {
  const producer = client.kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  });
  await within(deadlineMs, 'Connecting a producer', producer.connect()).catch((error: unknown) => {
    client.kill();
    throw error;
  });
  return {
    async send(messages) {
      const flat: Message[] = [];
      for (const [partition, some] of messages) for (const message of some) flat.push({ ...message, partition });
      const sending = producer.send({
        topic,
        acks: -1,
        timeout: deadlineMs,
        compression: compression === 'gzip' ? kafkajs.CompressionTypes.GZIP : kafkajs.CompressionTypes.None,
        messages: flat,
      });
      const offsets = new Map<number, number>();
      for (const { partition, baseOffset } of await within(deadlineMs, 'Writing to the log', sending)) {
        if (baseOffset !== undefined && Number(baseOffset) >= 0) offsets.set(partition, Number(baseOffset));
      }
      // When a leader moves between two tries, kafkajs may leave a partition out: it takes a broker's earlier answer for an answer to all.
      const silent = [...messages.keys()].find((partition) => !offsets.has(partition));
      if (silent !== undefined) throw new Error(`Kafka said nothing of partition ${silent}`);
      return offsets;
    },
    async close() {
      await within(1_000, 'Leaving', producer.disconnect()).catch(() => undefined); // it is killed next
      client.kill();
    },
    kill: client.kill,
  };
}
