import type { Admin } from 'kafkajs';
import { isRefusal, Refusal } from '@evenfall/errors';
import type { Client } from './client.ts';
import { within } from './deadline.ts';

/** First offset that is still kept, and the offset after the last. */
export type Bounds = { readonly low: number; readonly high: number };

/** Asks the brokers how far the log goes. */
export type Ends = {
  /** By partition, as of some moment after the call. Rejects with LOG_UNAVAILABLE within the deadline. */
  bounds(): Promise<ReadonlyMap<number, Bounds>>;
  close(): Promise<void>;
};

/** One query is under way at a time, and answers all calls that came before it was sent. */
export function createEnds(newClient: () => Client, topic: string, deadlineMs: number): Ends {
  let connected: { readonly client: Client; readonly admin: Promise<Admin> } | undefined;
  let asking: Promise<unknown> = Promise.resolve();
  let next: Promise<ReadonlyMap<number, Bounds>> | undefined;

  const connect = (): NonNullable<typeof connected> => {
    const client = newClient();
    const admin = client.kafka.admin();
    return { client, admin: admin.connect().then(() => admin) };
  };
  const ask = async (): Promise<ReadonlyMap<number, Bounds>> => {
    const used = (connected ??= connect());
    try {
      const answer = used.admin.then((admin) => admin.fetchTopicOffsets(topic));
      const offsets = await within(deadlineMs, 'Asking for the ends of the log', answer);
      return new Map(offsets.map(({ partition, low, high }) => [partition, { low: Number(low), high: Number(high) }]));
    } catch (cause) {
      used.client.kill();
      connected = undefined;
      throw new Refusal('LOG_UNAVAILABLE', {}, { cause });
    }
  };
  return {
    async bounds() {
      next ??= asking.then(() => {
        next = undefined;
        const asked = ask();
        asking = asked.catch(() => undefined);
        return asked;
      });
      try {
        return await within(deadlineMs, 'Asking for the ends of the log', next); // the question before may take its whole time
      } catch (cause) {
        throw isRefusal(cause) ? cause : new Refusal('LOG_UNAVAILABLE', {}, { cause });
      }
    },
    async close() {
      await asking;
      if (!connected) return;
      const { client, admin } = connected;
      connected = undefined;
      await within(
        1_000,
        'Leaving',
        admin.then((one) => one.disconnect()),
      ).catch(() => undefined); // it is killed next
      client.kill();
    },
  };
}
