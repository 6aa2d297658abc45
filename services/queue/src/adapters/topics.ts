import { MessageRefused, type TopicWriter } from '@evenfall/event-log/kafka';
import type { TopicSender } from '../ports.ts';

/** Topics, as destinations see them: what Kafka never takes is an answer. */
export function createTopicSender(writer: TopicWriter): TopicSender {
  return {
    async send(message) {
      try {
        await writer.send(message);
        return undefined;
      } catch (error) {
        if (error instanceof MessageRefused) return error.message;
        throw error;
      }
    },
  };
}
