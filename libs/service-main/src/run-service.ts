import { checkAddress, runMain, type Running, type StartPart, startParts } from '@evenfall/lifecycle';
import type { EventLog } from '@evenfall/event-log';
import type { KafkaSettings } from '@evenfall/event-log/kafka/settings';
import { answered, type PoolOptions, type Sql } from '@evenfall/postgres';
import { type BoundService, type CallHead, type PeerTls, startGrpcServer } from '@evenfall/rpc';
import { createLog, installMetrics, type Log, startMetricsServer } from '@evenfall/telemetry';
import { type Dependencies, readinessOf, watchDependencies } from './dependencies.ts';
import type { AnyConfig, Environment, ReadyWords, ServiceContext, ServiceDescriptor } from './descriptor.ts';
import { internalGuard } from './internal-key.ts';
import { createNetwork } from './network.ts';
import { type EventLogDeps, openEventLog } from './open-event-log.ts';
import { openPool } from './open-pool.ts';
import { openOwnTls } from './own-tls.ts';
import { checkCaller } from './rights.ts';
import type { ServiceName } from './settings.ts';

/** A pool that answers nothing for so long is opened anew; besides the time that its statements may take. */
const HUNG_POOL_MS = 60_000;
/** How long calls under way get when the server closes. */
const CALLS_GRACE_MS = 1_000;
/** A year: who starts before the brokers do waits for them. */
const FOR_EVER_MS = 365 * 24 * 3_600_000;
const STOP_WITHIN_MS = 15_000;

/**
 * Runs a service as a process: settings, health from the first moment, the parts in order, one line on stdout when it is ready, and an
 * orderly stop on SIGTERM and SIGINT. Those it calls may be started before or after it.
 */
export function runService<C, P extends C & AnyConfig>(descriptor: ServiceDescriptor<C, P>, env: Environment): Promise<void> {
  return runMain({
    read: () => descriptor.settings.read(env),
    stopWithinMs: (config) => descriptor.stopWithinMs?.(config) ?? STOP_WITHIN_MS,
    stopRequested: ({ stopOnStdinEnd }) => (stopOnStdinEnd ? endOfStdin() : new Promise<void>(() => undefined)),
    start: (config, signal) => startService(descriptor, config, signal),
  });
}

function endOfStdin(): Promise<void> {
  return new Promise((resolve) => {
    for (const event of ['end', 'close', 'error']) process.stdin.once(event, () => resolve());
    process.stdin.resume();
  });
}

async function startService<C, P extends C & AnyConfig>(
  descriptor: ServiceDescriptor<C, P>,
  given: P,
  signal: AbortSignal,
): Promise<Running> {
  const log = createLog(descriptor.name, { level: given.logLevel, format: given.logFormat });
  const config = (await descriptor.prepare?.(given, log, signal)) ?? given;
  installMetrics();
  const ports = [
    [config.httpPort, 'EVENFALL_HTTP_PORT'],
    [config.grpcPort, 'EVENFALL_GRPC_PORT'],
    [config.metricsPort, 'EVENFALL_METRICS_PORT'],
  ] as const;
  for (const [port, portSetting] of ports)
    if (port !== undefined) await checkAddress({ host: config.host, port, hostSetting: 'EVENFALL_HOST', portSetting });

  const { built, stop } = await startParts(async (part) => {
    const dependencies = await part(
      'dependencies',
      () => watchDependencies(log),
      (started) => started.stop(),
    );
    const tls = await part(
      'TLS',
      () => openOwnTls(descriptor.name, config, log),
      (opened) => Promise.resolve(opened?.close()),
    );
    const faults: (() => readonly string[])[] = [];
    const life = { isStarted: false };
    const metrics = await part(
      'metrics',
      () =>
        startMetricsServer(config, () =>
          readinessOf(
            life.isStarted,
            dependencies,
            faults.flatMap((reported) => reported()),
          ),
        ),
      (server) => server.stop(),
    );
    const forces: (() => void)[] = [];
    const own: OwnProcess = { name: descriptor.name, log, part, tls, dependencies, signal };
    const words = await descriptor.start({
      config,
      log,
      isShared: true,
      tls,
      part,
      ...createNetwork(descriptor, { config, part, tls, dependencies }),
      ...ownResources(own, config),
      dependsOn: dependencies.add,
      reportsFaults: (reported) => void faults.push(reported),
      drainsFirst: () => undefined, // it is alone: its parts are stopped in reverse
      onForce: (action) => void forces.push(action),
      away: dependencies.away,
    });
    await sayReady(own, life, { ...words, metrics: `http://${hostAndPort(config.host, metrics.port)}` });
    return { forces };
  });
  return built.forces.length > 0 ? { stop, force: () => built.forces.forEach((force) => force()) } : { stop };
}

type OwnProcess = {
  readonly name: ServiceName;
  readonly log: Log;
  readonly part: StartPart;
  readonly tls: PeerTls | undefined;
  readonly dependencies: Dependencies;
  readonly signal: AbortSignal;
};

/** What a process opens for itself: database pools, the event log, the private gRPC server. */
function ownResources(own: OwnProcess, config: AnyConfig): Pick<ServiceContext<unknown>, 'pool' | 'eventLog' | 'serve'> {
  const { name, log, part, dependencies, signal } = own;
  const pool = (options: Partial<PoolOptions> = {}): Promise<Sql> =>
    part(
      'database pool',
      async () => {
        const onAway = (why: string): void => log.warn('waiting for a dependency', { name: 'Postgres', why });
        const target = { kind: 'url', url: config.postgresUrl ?? '' } as const;
        const sql = await openPool(target, { name, max: 4, ...options }, { signal, onAway });
        const withinMs = HUNG_POOL_MS + (options.statementTimeoutMs ?? 0);
        const answers = (): Promise<boolean> => answered(sql, withinMs, sql`SELECT 1`).then(() => true);
        dependencies.add({ name: `Postgres, ${options.name ?? name}`, answers });
        return sql;
      },
      (sql) => sql.end({ timeout: 5 }),
    );
  return {
    pool,
    eventLog: (settings) => openOwnLog(own, pool, settings),
    serve: (services) => serveOthers(own, config, services),
  };
}

async function openOwnLog(
  { log, part, dependencies, signal }: OwnProcess,
  pool: (options: Partial<PoolOptions>) => Promise<Sql>,
  settings: KafkaSettings,
): Promise<EventLog> {
  const state: { opened?: EventLog } = {};
  const answers = async (): Promise<boolean> => (state.opened ? (await state.opened.endOffsets()).size > 0 : false);
  dependencies.add({ name: 'event log', answers });
  const logPool: EventLogDeps['pool'] = (use) => pool(use === 'reading' ? { name: 'event log' } : { name: 'event log appends', max: 1 });
  const open = openEventLog(settings, { pool: logPool, log, openWithinMs: FOR_EVER_MS });
  return part(
    'event log',
    async () => (state.opened = await Promise.race([open, stopOf(signal)])),
    (started) => started.close(),
  );
}

async function serveOthers({ log, part, tls }: OwnProcess, config: AnyConfig, services: readonly BoundService[]): Promise<ReadyWords> {
  const byKey = internalGuard(config.internalKey);
  const authorize = (head: CallHead): void => {
    byKey?.(head);
    if (tls) checkCaller(head);
  };
  const server = await part(
    'gRPC server',
    () =>
      startGrpcServer({
        host: config.host,
        port: config.grpcPort ?? 0,
        services,
        onUnexpected: (error, method) => log.error('a call failed unexpectedly', error, { method }),
        ...(byKey || tls ? { authorize } : {}),
        ...(tls ? { tls } : {}),
      }),
    (started) => started.stop(CALLS_GRACE_MS),
  );
  return { grpc: hostAndPort(config.host, server.port) };
}

/** Writes the ready line once all dependencies have answered. */
async function sayReady({ name, part, dependencies }: OwnProcess, life: { isStarted: boolean }, words: ReadyWords): Promise<void> {
  const stopping = new AbortController();
  life.isStarted = true;
  await part(
    'readiness',
    () => {
      void dependencies.met(stopping.signal).then(() => {
        if (stopping.signal.aborted) return;
        const line = Object.entries(words).map(([word, value]) => `${word}=${value}`);
        process.stdout.write(`evenfall-${name} ready ${line.join(' ')}\n`);
      });
    },
    () => {
      life.isStarted = false;
      stopping.abort();
      return dependencies.stop();
    },
  );
}

/** Rejects when the process is to stop before it has started. */
function stopOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('stopped before it had started')), { once: true });
  });
}

/** An address as it is written in URLs. */
export function hostAndPort(host: string, port: number): string {
  return `${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}`;
}
