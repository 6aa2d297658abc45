import { join, resolve } from 'node:path';
import { ensureKeyFile, ensureSealingKeyFile, type KeptKey } from '@evenfall/access-key';
import { eventStore } from '@evenfall/event-store/descriptor';
import { gateway } from '@evenfall/gateway/descriptor';
import { accessKeyOf } from '@evenfall/gateway/service';
import { instanceAgent } from '@evenfall/instance-agent/descriptor';
import { checkAddress, runMain, type Running, type StartPart, startParts } from '@evenfall/lifecycle';
import { type PostgresTarget, startEmbeddedPostgres } from '@evenfall/postgres';
import { queue } from '@evenfall/queue/descriptor';
import { registry } from '@evenfall/registry/descriptor';
import { scheduler } from '@evenfall/scheduler/descriptor';
import {
  configured,
  type Configured,
  createOneProcess,
  type Environment,
  hostAndPort,
  openEventLog,
  openPool,
} from '@evenfall/service-main';
import { createLog, installMetrics, type Log, startMetricsServer } from '@evenfall/telemetry';
import { type AllInOneConfig, readConfig } from './config.ts';
import { keyLine } from './key-line.ts';

export type AllInOne = Running & {
  readonly addresses: { readonly http: string; readonly grpc: string; readonly metrics: string };
  /** The key of the data folder; undefined if keys are set, or if the APIs ask for none. */
  readonly keptKey: KeptKey | undefined;
};

type Keys = { readonly keptKey: KeptKey | undefined; readonly sealingKeys: readonly string[] };

/** How much longer than the drain of its host the whole may take to stop. */
const STOP_SLACK_MS = 30_000;
const NOTHING = (): void => undefined;

/** Runs all services as one program. Says where they are and which key they ask for. */
export function runAllInOne(env: Environment): Promise<void> {
  return runMain({
    read: () => readConfig(env),
    stopWithinMs: ({ agentDrainDeadlineMs }) => agentDrainDeadlineMs + STOP_SLACK_MS,
    async start(config) {
      const running = await startAllInOne(config);
      const { http, grpc, metrics } = running.addresses;
      process.stdout.write(`${keyLine(config.gateway, running, process.stdout.isTTY)}\n`);
      process.stdout.write(`evenfall ready http=${http} grpc=${grpc} metrics=${metrics}\n`);
      return running;
    },
  });
}

/** The services in the order in which they start: each behind those that it calls. They stop in reverse. */
function servicesOf(config: AllInOneConfig, { keptKey, sealingKeys }: Keys): readonly Configured[] {
  const accessKeys = keptKey ? [accessKeyOf(keptKey.key)] : config.gateway.accessKeys;
  return [
    configured(registry, { ...config, sealingKeys }),
    configured(eventStore, config),
    configured(scheduler, config),
    configured(queue, config),
    // Behind the queue: it stops before it, and what ends while it does is recorded.
    configured(instanceAgent, config.agent),
    configured(gateway, { gateway: { ...config.gateway, accessKeys } }),
  ];
}

/** Starts every service in this process. */
export async function startAllInOne(config: AllInOneConfig): Promise<AllInOne> {
  const log = (service: string): Log => createLog(service, { level: config.logLevel, format: config.logFormat });
  installMetrics();
  const { built, stop } = await startParts(async (part) => {
    await part('addresses', () => checkAddresses(config), NOTHING);
    const target = await openDatabase(part, config, log('postgres'));
    // Behind the database, which is what holds the data folder for one program alone.
    const keys = await part('access key', () => ensureKeys(config), NOTHING);
    const pools = await part(
      'database pool',
      async () => ({
        sql: await openPool(target, { name: 'all-in-one', max: 8 }),
        appendSql: await openPool(target, { name: 'event log appends', max: 1 }),
      }),
      async ({ sql, appendSql }) => {
        await Promise.all([sql, appendSql].map((pool) => pool.end({ timeout: 5 })));
      },
    );
    const eventLog = await part(
      'event log',
      () =>
        openEventLog(config, {
          pool: (use) => (use === 'reading' ? pools.sql : pools.appendSql),
          log: log('event-log'),
          isShared: false,
        }),
      (opened) => opened.close(),
    );
    const services = createOneProcess({ part, log, sql: pools.sql, openPool: (options) => openPool(target, options), eventLog });
    const words: Record<string, string> = {};
    for (const service of servicesOf(config, keys)) Object.assign(words, await service.start(services));
    const metrics = await part(
      'metrics',
      () =>
        startMetricsServer(config, () => {
          const faults = services.faults();
          return { isReady: faults.length === 0, waitsFor: [], faults };
        }),
      (server) => server.stop(),
    );
    const { http = '', grpc = '' } = words; // of the gateway
    const addresses = { http, grpc, metrics: `http://${hostAndPort(config.gateway.host, metrics.port)}` };
    return { addresses, keptKey: keys.keptKey, services };
  });
  const { addresses, keptKey, services } = built;
  // The host drains first, while the APIs are open: a caller that waits gets its answer.
  return { addresses, keptKey, stop: () => services.drain().finally(stop), force: services.force };
}

async function checkAddresses({ gateway: { host, httpPort, grpcPort }, metricsPort }: AllInOneConfig): Promise<void> {
  const addresses = [
    [httpPort, 'EVENFALL_HTTP_PORT'],
    [grpcPort, 'EVENFALL_GRPC_PORT'],
    [metricsPort, 'EVENFALL_METRICS_PORT'],
  ] as const;
  for (const [port, portSetting] of addresses) await checkAddress({ host, port, hostSetting: 'EVENFALL_HOST', portSetting });
}

/** Where the database is; starts the embedded one if none is named. */
async function openDatabase(part: StartPart, { postgresUrl, dataDir }: AllInOneConfig, log: Log): Promise<PostgresTarget> {
  if (postgresUrl !== undefined) return { kind: 'url', url: postgresUrl };
  const server = await part(
    'postgres',
    () => startEmbeddedPostgres({ dir: join(resolve(dataDir), 'postgres') }),
    (started) => started.stop(),
  );
  void server.died.then((error) => {
    log.error('the embedded database is gone; leaving, to be started again', error);
    process.exit(1);
  });
  return server.target;
}

async function ensureKeys({ gateway: { accessKeys, isOpen }, sealingKeys, dataDir }: AllInOneConfig): Promise<Keys> {
  const dir = resolve(dataDir);
  return {
    keptKey: accessKeys.length === 0 && !isOpen ? await ensureKeyFile(dir) : undefined,
    sealingKeys: sealingKeys ?? [(await ensureSealingKeyFile(dir)).key],
  };
}
