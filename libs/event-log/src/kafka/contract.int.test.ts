import { randomUUID } from 'node:crypto';
import { after } from 'node:test';
import { testKafka } from '@evenfall/testkit/kafka';
import { silentLog } from '@evenfall/telemetry';
import { eventLogContract } from '../event-log.contract.ts';
import { openKafkaLog } from './index.ts';

const kafka = await testKafka();
after(() => kafka?.stop());

if (kafka) {
  eventLogContract('kafka', async () => {
    const topic = `contract-${randomUUID()}`;
    return {
      open: () =>
        openKafkaLog({
          connection: { brokers: [kafka.brokers] },
          topic: { topic, partitionCount: 4, retentionMs: 3_600_000 },
          log: silentLog,
          onFailure: (error, doing) => console.error(doing, error),
        }),
      close: () => Promise.resolve(),
    };
  });
}
