import { join } from 'node:path';
import { startEmbeddedPostgres } from '@evenfall/postgres';
import { copyPostgresTemplate, makePostgresTemplate, POSTGRES_TEMPLATE, tempDir } from '@evenfall/testkit';
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

/** Starts those that are not given by a setting, and makes a template for tests that want a Postgres of their own. Where there can be no Kafka there is none: the tests that want it say so. */
export async function startServers(): Promise<Servers> {
  const dir = tempDir('suite');
  const template = join(dir.path, 'template');
  const servers: Server[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((one) => one.stop()));
    dir.remove();
  };
  try {
    await makePostgresTemplate(template);
    if (!process.env[POSTGRES]) servers.push(await startPostgres(join(dir.path, 'postgres'), template));
    if (!process.env[KAFKA] && whyNoKafka() === undefined) servers.push(await startBroker(join(dir.path, 'kafka')));
  } catch (error) {
    await stop();
    throw error;
  }
  const env = Object.fromEntries(servers.flatMap((one) => Object.entries(one.env)));
  return { env: { ...env, [POSTGRES_TEMPLATE]: template }, stop };
}

async function startPostgres(dir: string, template: string): Promise<Server> {
  copyPostgresTemplate(dir, template);
  const port = String(await freePort());
  const settings = { listen_addresses: '127.0.0.1', port, max_connections: MOST_CONNECTIONS };
  const server = await startEmbeddedPostgres({ dir, unsafeFast: true, settings });
  if (server.target.kind !== 'socket') throw new Error('The embedded Postgres is not reached by a socket');
  const { user, password, database } = server.target;
  return {
    env: { [POSTGRES]: `postgres://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}` },
    stop: () => server.stop(),
  };
}

async function startBroker(dir: string): Promise<Server> {
  const server = await startKafka({ dir });
  // Killed, which is faster than in order: nothing reads its data again.
  return { env: { [KAFKA]: server.brokers }, stop: () => server.kill9() };
}
