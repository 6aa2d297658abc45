// Keeps the Kafka of a cluster: `node tools/cluster/kafka.ts <folder>`.
import { startKafka } from '@evenfall/testkit/kafka';
import { keep } from './keeper.ts';

await keep('kafka', async () => {
  const server = await startKafka({ dir: process.argv[2] ?? '.evenfall/kafka' });
  return { addresses: { brokers: server.brokers, server_pid: server.pid }, died: server.died, stop: server.stop };
});
