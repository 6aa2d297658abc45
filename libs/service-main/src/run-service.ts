import { checkAddress, runMain, type Running, type StartPart, startParts } from '@evenfall/lifecycle';
import type { EventLog } from '@evenfall/event-log';
import type { KafkaSettings } from '@evenfall/event-log/kafka/settings';
import { answered, type PoolOptions, type Sql } from '@evenfall/postgres';
import { type BoundService, type CallHead, openPeer, type Peer, type PeerOptions, type PeerTls, startGrpcServer } from '@evenfall/rpc';
import { createLog, installMetrics, type Log, startMetricsServer } from '@evenfall/telemetry';
import { type Dependency, readinessOf, watchDependencies } from './dependencies.ts';
import { internalGuard, internalHeaders } from './internal-key.ts';
import { type EventLogDeps, openEventLog } from './open-event-log.ts';
import { openPool } from './open-pool.ts';
import { openOwnTls } from './own-tls.ts';
import { checkCaller } from './rights.ts';
import type { ProcessConfig, ServiceName } from './settings.ts';

/** A pool that answers nothing for so long is opened anew; besides the time that its statements may take. */
const HUNG_POOL_MS = 60_000;

/** What the configuration of any process may hold. */
export type AnyConfig = ProcessConfig & {
  readonly grpcPort?: number;
  readonly httpPort?: number;
  readonly postgresUrl?: string | undefined;
};

/** What a service is built with. Whatever it opens is closed in reverse, the doors first. */
export type Building<C> = {
  readonly config: C;
  readonly log: Log;
  readonly part: StartPart;
  /** The certificate of this process, where one is set. */
  readonly tls: PeerTls | undefined;
  /** Opens a pool, as soon as Postgres can be reached. */
  pool(options?: Partial<PoolOptions>): Promise<Sql>;
  /** Opens the event log, as soon as it can be reached. */
  eventLog(settings: KafkaSettings): Promise<EventLog>;
  /** Opens a channel to another service. The process is ready once it has answered. */
  peer(name: ServiceName, address: string, options?: Pick<PeerOptions, 'streamsWait' | 'spread'>): Promise<Peer>;
  /** Opens channels to the replicas of a service. The process is ready once one of them has answered. */
  peers(name: ServiceName, addresses: readonly string[]): Promise<readonly [Peer, ...Peer[]]>;
  /** Names something else without which the process is not ready. */
  dependsOn(dependency: Dependency): void;
  /** Names what cuts short that stopping waits for something; it is done at the second signal. */
  onForce(action: () => void): void;
  /** Says what keeps the service from its work, for `/readyz`; asked at every request. */
  reportsFaults(faults: () => readonly string[]): void;
  /** Dependencies that do not answer now. */
  away(): string[];
  /** Opens the private gRPC server; answers its address. */
  serve(services: readonly BoundService[]): Promise<string>;
};

export type ServiceSpec<C extends AnyConfig> = {
  readonly name: ServiceName;
  /** Reads the environment, or throws with every fault. */
  readonly readConfig: () => C;
  /** Does what has to come before everything else, and may change the settings by it. Health is not answered yet. */
  readonly prepare?: (config: C, log: Log, signal: AbortSignal) => Promise<C>;
  /** Starts the service; answers what its ready line says beside the metrics: `grpc=…`. */
  readonly start: (building: Building<C>) => Promise<Readonly<Record<string, string>>>;
  /** How long stopping may take. Default 15 s. */
  readonly stopWithinMs?: (config: C) => number;
};

/** How long calls under way get when the server closes. */
const CALLS_GRACE_MS = 1_000;
const ASK_MS = 2_000;
/** A year: who starts before the brokers do waits for them. */
const FOR_EVER_MS = 365 * 24 * 3_600_000;

/**
 * Runs a service as a process: settings, health from the first moment, the parts in order, one line on stdout when it is ready, and an
 * orderly stop on SIGTERM and SIGINT. Those it calls may be started before or after it.
 */
export async function runService<C extends AnyConfig>(spec: ServiceSpec<C>): Promise<void> {
  let endOfStdin: (() => void) | undefined;
  const stopRequested = new Promise<void>((resolve) => (endOfStdin = resolve));
  let stopWithinMs = 15_000;
  await runMain({
    stopWithinMs: () => stopWithinMs,
    stopRequested,
    start(signal) {
      const config = spec.readConfig();
      stopWithinMs = spec.stopWithinMs?.(config) ?? stopWithinMs;
      if (config.stopOnStdinEnd) {
        for (const event of ['end', 'close', 'error']) process.stdin.once(event, () => endOfStdin?.());
        process.stdin.resume();
      }
      return startService(spec, config, signal);
    },
  });
}

async function startService<C extends AnyConfig>(spec: ServiceSpec<C>, given: C, signal: AbortSignal): Promise<Running> {
  const log = createLog(spec.name, { level: given.logLevel, format: given.logFormat });
  const config = (await spec.prepare?.(given, log, signal)) ?? given;
  const headers = internalHeaders(config.internalKey);
  const unexpected = (error: unknown, method: string): void => log.error('a call failed unexpectedly', error, { method });
  installMetrics();
  const doors = [
    [config.httpPort, 'EVENFALL_HTTP_PORT'],
    [config.grpcPort, 'EVENFALL_GRPC_PORT'],
    [config.metricsPort, 'EVENFALL_METRICS_PORT'],
  ] as const;
  for (const [port, portSetting] of doors)
    if (port !== undefined) await checkAddress({ host: config.host, port, hostSetting: 'EVENFALL_HOST', portSetting });

  let isStarted = false;
  let faults = (): readonly string[] => [];
  const dependencies = watchDependencies(log);
  const stopping = new AbortController();
  let force: (() => void) | undefined;
  const running = await startParts(async (part) => {
    await part(
      'dependencies',
      () => dependencies,
      (started) => started.stop(),
    );
    const tls = await part(
      'TLS',
      () => openOwnTls(spec.name, config, log),
      (opened) => Promise.resolve(opened?.close()),
    );
    const metrics = await part(
      'metrics',
      () => startMetricsServer(config, () => readinessOf(isStarted, dependencies, faults())),
      (server) => server.stop(),
    );
    const pool = (options: Partial<PoolOptions> = {}): Promise<Sql> =>
      part(
        'database pool',
        async () => {
          const onAway = (why: string): void => log.warn('waiting for a dependency', { name: 'Postgres', why });
          const target = { kind: 'url', url: config.postgresUrl ?? '' } as const;
          const sql = await openPool(target, { name: spec.name, max: 4, ...options }, { signal, onAway });
          const withinMs = HUNG_POOL_MS + (options.statementTimeoutMs ?? 0);
          const answers = (): Promise<boolean> => answered(sql, withinMs, sql`SELECT 1`).then(() => true);
          dependencies.add({ name: `Postgres, ${options.name ?? spec.name}`, answers });
          return sql;
        },
        (sql) => sql.end({ timeout: 5 }),
      );
    const channel = (name: ServiceName, address: string, options: PeerOptions): Promise<Peer> =>
      part(
        `channel to ${name}`,
        () => openPeer(address, { headers, ...(tls ? { secure: { tls, identity: name } } : {}), ...options }),
        (peer) => peer.close(),
      );
    const said = await spec.start({
      config,
      log,
      tls,
      part,
      pool,
      eventLog(settings) {
        let opened: EventLog | undefined;
        const answers = async (): Promise<boolean> => (opened ? (await opened.endOffsets()).size > 0 : false);
        dependencies.add({ name: 'event log', answers });
        const logPool: EventLogDeps['pool'] = (use) =>
          pool(use === 'reading' ? { name: 'event log' } : { name: 'event log appends', max: 1 });
        const open = openEventLog(settings, { pool: logPool, log, openWithinMs: FOR_EVER_MS });
        return part(
          'event log',
          async () => (opened = await Promise.race([open, stopOf(signal)])),
          (started) => started.close(),
        );
      },
      async peer(name, address, options = {}) {
        const peer = await channel(name, address, { streamsWait: true, ...options });
        dependencies.add({ name: `${name} at ${address}`, answers: () => peer.isServing(ASK_MS) });
        return peer;
      },
      async peers(name, addresses) {
        const peers: Peer[] = [];
        for (const address of addresses) peers.push(await channel(name, address, { streamsWait: true }));
        const answers = async (): Promise<boolean> => (await Promise.all(peers.map((peer) => peer.isServing(ASK_MS)))).includes(true);
        dependencies.add({ name: `${name} at ${addresses.join(', ')}`, answers });
        return peers as [Peer, ...Peer[]]; // a list of the settings has at least one part
      },
      dependsOn: dependencies.add,
      onForce: (action) => void (force = action),
      reportsFaults(reported) {
        faults = reported;
      },
      away: dependencies.away,
      async serve(services) {
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
              onUnexpected: unexpected,
              ...(byKey || tls ? { authorize } : {}),
              ...(tls ? { tls } : {}),
            }),
          (started) => started.stop(CALLS_GRACE_MS),
        );
        return hostAndPort(config.host, server.port);
      },
    });
    isStarted = true;
    await part(
      'readiness',
      () => {
        void dependencies.met(stopping.signal).then(() => {
          if (stopping.signal.aborted) return;
          const words = Object.entries({ ...said, metrics: `http://${hostAndPort(config.host, metrics.port)}` });
          process.stdout.write(`evenfall-${spec.name} ready ${words.map(([name, value]) => `${name}=${value}`).join(' ')}\n`);
        });
      },
      () => {
        isStarted = false;
        stopping.abort();
        return dependencies.stop();
      },
    );
  });
  return force ? { ...running, force } : running;
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
