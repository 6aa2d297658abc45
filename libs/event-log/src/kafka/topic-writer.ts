import type { Message } from 'kafkajs';
import type { Log } from '@evenfall/telemetry';
import { type Client, createClient } from './client.ts';
import { within } from './deadline.ts';
import type { KafkaConnection } from './options.ts';
import { isPermanent, rootOf } from './permanent.ts';

/** A message for a topic that is not the event log's. */
export type TopicMessage = {
  readonly topic: string;
  readonly key: string;
  readonly value: Buffer;
  readonly headers: Readonly<Record<string, string>>;
};

/** Writes messages to topics of the Kafka that holds the event log. */
export type TopicWriter = {
  /**
   * Resolves once all in-sync copies have the message; it may be there twice then. Rejects with a `MessageRefused` if it never will be, and
   * with anything else if it may be later.
   */
  send(message: TopicMessage): Promise<void>;
  close(): Promise<void>;
};

/** Kafka does not take this message, now or later. */
export class MessageRefused extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MessageRefused';
  }
}

export type TopicWriterOptions = {
  readonly connection: KafkaConnection;
  /** Topic of the event log: nothing but records may be there. */
  readonly logTopic: string;
  readonly log: Log;
  /** For connecting, and for each message. Default 5 s. */
  readonly deadlineMs?: number;
};

type Producer = ReturnType<Client['kafka']['producer']>;
type Connected = { readonly client: Client; readonly producer: Producer };

const RETRY = { retries: 3, initialRetryTime: 100, maxRetryTime: 1_000 };

/**
 * Opens a writer; it connects with the first message. Not idempotent, as the log's producer is: many messages are on their way at once, and
 * a message may come twice anyway.
 */
export function openTopicWriter({ connection, logTopic, log, deadlineMs = 5_000 }: TopicWriterOptions): TopicWriter {
  let connected: Promise<Connected> | undefined;
  let isClosed = false;

  const connect = async (): Promise<Connected> => {
    const client = createClient({ connection, requestTimeoutMs: deadlineMs, retry: RETRY, log });
    const producer = client.kafka.producer({ allowAutoTopicCreation: false });
    try {
      await within(deadlineMs, 'Connecting a producer', producer.connect());
      return { client, producer };
    } catch (error) {
      client.kill();
      throw error;
    }
  };
  const current = (): Promise<Connected> => {
    if (connected) return connected;
    const connecting = connect();
    connecting.catch(() => forget(connecting));
    return (connected = connecting);
  };
  const forget = (one: Promise<Connected>): void => {
    if (connected === one) connected = undefined;
  };

  return {
    async send({ topic, key, value, headers }) {
      if (topic === logTopic) throw new MessageRefused(`${topic} is the topic of the event log`);
      if (isClosed) throw new Error('The writer is closed');
      const using = current();
      const { client, producer } = await using;
      const message: Message = { key, value, headers: { ...headers } };
      try {
        await within(deadlineMs, `Writing to ${topic}`, producer.send({ topic, acks: -1, timeout: deadlineMs, messages: [message] }));
      } catch (error) {
        const { type, name } = rootOf(error);
        if (isPermanent(error) || type === 'INVALID_TOPIC_EXCEPTION')
          throw new MessageRefused(`Kafka does not take it: ${type}`, { cause: error });
        // Whatever a broker answered, the connection is good. Else it may hang for longer than a new one takes.
        if (name !== 'KafkaJSProtocolError') {
          forget(using);
          client.kill();
        }
        throw error;
      }
    },
    async close() {
      isClosed = true;
      const last = await connected?.catch(() => undefined);
      if (!last) return;
      await within(1_000, 'Leaving', last.producer.disconnect()).catch(() => undefined); // it is killed next
      last.client.kill();
    },
  };
}
