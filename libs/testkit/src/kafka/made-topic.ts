import { eventually } from '../eventually.ts';

type NewTopic = { readonly topic: string; readonly numPartitions: number; readonly configEntries?: { name: string; value: string }[] };
/** Of an administrator's client as much as is needed. */
type Admin = {
  createTopics(options: { waitForLeaders: boolean; topics: NewTopic[] }): Promise<boolean>;
  fetchTopicMetadata(options: { topics: string[] }): Promise<{ topics: { partitions: unknown[] }[] }>;
};

/** Makes a topic and waits until the broker knows it: right after it was made, the client's own wait may fail with an unknown topic. */
export async function madeTopic(admin: Admin, topic: NewTopic): Promise<void> {
  await admin.createTopics({ waitForLeaders: false, topics: [topic] });
  await eventually(async () => {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic.topic] });
    return topics[0]?.partitions.length === topic.numPartitions;
  }, 20_000);
}
