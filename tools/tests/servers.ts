import { startEmbeddedPostgres } from '@evenfall/postgres';
import { tempDir } from '@evenfall/testkit';
import { freePort, startKafka, whyNoKafka } from '@evenfall/testkit/kafka';

/** A Postgres and a Kafka that all test files of a run share: each test makes a database, or a topic, of its own. */
export type Servers = {
  /** Settings by which `testDatabase` and `testKafka` find them. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
};

type Server = { readonly env: Record<string, string>; stop(): Promise<void> };
const POSTGRES = 'EVENFALL_TEST_POSTGRES_URL';
const KAFKA = 'EVENFALL_TEST_KAFKA_BROKERS';
/** Connections of several test files at a time, each with pools of its own. */
const MOST_CONNECTIONS = '300';

/** Starts those that are not given by a setting. Where there can be no Kafka there is none: the tests that want it say so. */
export async function startServers(): Promise<Servers> {
  const starting = [
    ...(process.env[POSTGRES] ? [] : [startPostgres()]),
    ...(process.env[KAFKA] || whyNoKafka() !== undefined ? [] : [startBroker()]),
  ];
  const settled = await Promise.allSettled(starting);
  const servers = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((one) => one.stop()));
  };
  for (const one of settled) {
    if (one.status === 'fulfilled') continue;
    await stop();
    throw one.reason;
  }
  return { env: Object.fromEntries(servers.flatMap(({ env }) => Object.entries(env))), stop };
}

async function startPostgres(): Promise<Server> {
  const dir = tempDir('suite-pg');
  const port = String(await freePort());
  const settings = { listen_addresses: '127.0.0.1', port, max_connections: MOST_CONNECTIONS };
  try {
    const server = await startEmbeddedPostgres({ dir: dir.path, unsafeFast: true, settings });
    if (server.target.kind !== 'socket') throw new Error('The embedded Postgres is not reached by a socket');
    const { user, password, database } = server.target;
    return {
      env: { [POSTGRES]: `postgres://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}` },
      async stop() {
        await server.stop();
        dir.remove();
      },
    };
  } catch (error) {
    dir.remove();
    throw error;
  }
}

async function startBroker(): Promise<Server> {
  const dir = tempDir('suite-kafka');
  try {
    const server = await startKafka({ dir: dir.path });
    return {
      env: { [KAFKA]: server.brokers },
      async stop() {
        await server.kill9(); // faster than in order, and nothing reads its data again
        dir.remove();
      },
    };
  } catch (error) {
    dir.remove();
    throw error;
  }
}
