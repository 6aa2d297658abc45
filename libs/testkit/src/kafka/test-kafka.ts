import { tempDir } from '../temp-dir.ts';
import { whyNoKafka } from './jars.ts';
import { type KafkaOptions, type KafkaServer, startKafka } from './server.ts';

/** A real Kafka for a test file. */
export type TestKafka = {
  /** For EVENFALL_KAFKA_BROKERS. */
  readonly brokers: string;
  /** The broker itself, if it is this test's own and may be killed or paused. */
  readonly server: KafkaServer | undefined;
  stop(): Promise<void>;
};

export type TestKafkaOptions = Pick<KafkaOptions, 'advertisedPort'> & {
  /** Whether the broker has to be the test's own: it is killed, paused, or reached through something in between. */
  readonly isOwn?: boolean;
};

/**
 * Kafka on EVENFALL_TEST_KAFKA_BROKERS, or a broker started for this test file. Undefined, after a line that says so loudly, where there can
 * be none; in CI that is an error.
 */
export async function testKafka({ isOwn = false, ...options }: TestKafkaOptions = {}): Promise<TestKafka | undefined> {
  const given = isOwn ? undefined : process.env['EVENFALL_TEST_KAFKA_BROKERS'];
  if (given) return { brokers: given, server: undefined, stop: () => Promise.resolve() };
  const why = whyNoKafka();
  if (why !== undefined) {
    if (process.env['CI']) throw new Error(`Kafka cannot be tested: ${why}.`);
    process.stderr.write(`\n!!! SKIPPED: every test against a real Kafka. ${why}. Or name one in EVENFALL_TEST_KAFKA_BROKERS.\n\n`);
    return undefined;
  }
  const dir = tempDir('kafka');
  const server = await startKafka({ ...options, dir: dir.path }).catch((error: unknown) => {
    dir.remove();
    throw error;
  });
  return {
    brokers: server.brokers,
    server,
    async stop() {
      await server.kill9(); // faster than an orderly stop, and the data is not needed
      dir.remove();
    },
  };
}
