import { join, resolve } from 'node:path';
import { ensureKeyFile, ensureSealingKeyFile, type KeptKey } from '@evenfall/access-key';
import { EventStoreServiceService } from '@evenfall/contracts/event_store/v1/event_store_service';
import { QueueServiceService } from '@evenfall/contracts/queue/v1/queue_service';
import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { AccessKeyServiceService } from '@evenfall/contracts/v1/access_key_service';
import { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { QuotaServiceService } from '@evenfall/contracts/v1/quota_service';
import type { EventLog } from '@evenfall/event-log';
import { type EventStore, startEventStore } from '@evenfall/event-store/service';
import { accessKeyOf, startGateway } from '@evenfall/gateway/service';
import { startInstanceAgent } from '@evenfall/instance-agent/service';
import { checkAddress, startInOrder } from '@evenfall/lifecycle';
import { type PostgresTarget, type Sql, startEmbeddedPostgres } from '@evenfall/postgres';
import { startQueue } from '@evenfall/queue/service';
import { startRegistry } from '@evenfall/registry/service';
import { inProcessClient } from '@evenfall/rpc';
import { startScheduler } from '@evenfall/scheduler/service';
import { hostAndPort, openEventLog, openPool, openTopics } from '@evenfall/service-main';
import { createLog, installMetrics, startMetricsServer } from '@evenfall/telemetry';
import { systemClock } from '@evenfall/time';
import type { readConfig } from './config.ts';

export type AllInOne = {
  readonly addresses: { readonly http: string; readonly grpc: string; readonly metrics: string };
  /** The key the doors ask for; undefined if keys are set, or if they ask for none. */
  readonly keptKey: KeptKey | undefined;
  stop(): Promise<void>;
  /** Kills what stopping still waits for. */
  force(): void;
};

/** Starts every service in this process, each against the others' clients, as they would be on machines of their own. */
export async function startAllInOne(config: ReturnType<typeof readConfig>): Promise<AllInOne> {
  const log = (service: string) => createLog(service, { level: config.logLevel, format: config.logFormat });
  const unexpected = (error: unknown, method: string): void => log('rpc').error('a call failed unexpectedly', error, { method });
  const dataDir = resolve(config.dataDir);
  const host = config.gateway.host;
  installMetrics();

  // Filled in start order; what is used before it was started is a fault of this file.
  let target: PostgresTarget;
  let sql: Sql;
  let appendSql: Sql;
  let foldSql: Sql;
  let eventStoreStarted: EventStore | undefined;
  let eventLog: EventLog;
  let registry: Awaited<ReturnType<typeof startRegistry>>;
  let eventStore: EventStore;
  let scheduler: ReturnType<typeof startScheduler>;
  let queue: ReturnType<typeof startQueue>;
  let agent: Awaited<ReturnType<typeof startInstanceAgent>>;
  let ports = { httpPort: 0, grpcPort: 0 };
  let metricsPort = 0;
  let keptKey: KeptKey | undefined;
  let { sealingKeys } = config;
  const clients = {
    functions: () => inProcessClient(FunctionServiceService, registry.functions, unexpected),
    accessKeys: () => inProcessClient(AccessKeyServiceService, registry.accessKeys, unexpected),
    quotas: () => inProcessClient(QuotaServiceService, registry.quotas, unexpected),
    registry: () => inProcessClient(RegistryServiceService, registry.registry, unexpected),
    eventStore: () => inProcessClient(EventStoreServiceService, eventStore.api, unexpected),
    scheduler: () => inProcessClient(SchedulerServiceService, scheduler.api, unexpected),
    queue: () => inProcessClient(QueueServiceService, queue.api, unexpected),
  };

  const running = await startInOrder([
    {
      name: 'addresses',
      async start() {
        const addresses = [
          [config.gateway.httpPort, 'EVENFALL_HTTP_PORT'],
          [config.gateway.grpcPort, 'EVENFALL_GRPC_PORT'],
          [config.metricsPort, 'EVENFALL_METRICS_PORT'],
        ] as const;
        for (const [port, portSetting] of addresses) await checkAddress({ host, port, hostSetting: 'EVENFALL_HOST', portSetting });
        return () => Promise.resolve();
      },
    },
    {
      name: 'postgres',
      async start() {
        if (config.postgresUrl !== undefined) {
          target = { kind: 'url', url: config.postgresUrl };
          return () => Promise.resolve();
        }
        const server = await startEmbeddedPostgres({ dir: join(dataDir, 'postgres') });
        ({ target } = server);
        void server.died.then((error) => {
          log('postgres').error('the embedded database is gone; leaving, to be started again', error);
          process.exit(1);
        });
        return server.stop;
      },
    },
    // Behind the database, which is what holds the data folder for one program alone.
    {
      name: 'access key',
      async start() {
        const { accessKeys, isOpen } = config.gateway;
        if (accessKeys.length === 0 && !isOpen) keptKey = await ensureKeyFile(dataDir);
        if (config.sealingKeys === undefined) sealingKeys = [(await ensureSealingKeyFile(dataDir)).key];
        return () => Promise.resolve();
      },
    },
    {
      name: 'database pool',
      async start() {
        sql = await openPool(target, { name: 'all-in-one', max: 8 });
        appendSql = await openPool(target, { name: 'event log appends', max: 1 });
        foldSql = await openPool(target, { name: 'fold', max: 1, asyncCommit: true, onClose: () => eventStoreStarted?.foldLost() });
        return async () => {
          await Promise.all([sql, appendSql, foldSql].map((pool) => pool.end({ timeout: 5 })));
        };
      },
    },
    {
      name: 'event log',
      async start() {
        eventLog = await openEventLog(config, {
          pool: (use) => (use === 'reading' ? sql : appendSql),
          log: log('event-log'),
          isShared: false,
        });
        return eventLog.close;
      },
    },
    {
      name: 'registry',
      async start() {
        registry = await startRegistry({ sql, log: log('registry'), clock: systemClock }, { ...config, sealingKeys });
        return registry.stop;
      },
    },
    {
      name: 'event-store',
      async start() {
        eventStoreStarted = eventStore = await startEventStore(
          { sql, foldSql, eventLog, registry: clients.registry(), log: log('event-store'), isShared: false },
          config,
        );
        return eventStore.stop;
      },
    },
    {
      name: 'scheduler',
      start() {
        scheduler = startScheduler({ registry: clients.registry(), log: log('scheduler'), isShared: false }, config);
        return Promise.resolve(scheduler.stop);
      },
    },
    {
      name: 'queue',
      start() {
        const topics = openTopics(config, log('topics'));
        queue = startQueue(
          {
            eventLog,
            eventStore: clients.eventStore(),
            scheduler: clients.scheduler(),
            registry: clients.registry(),
            topics,
            log: log('queue'),
          },
          config,
        );
        return Promise.resolve(async () => {
          await queue.stop();
          await topics?.close();
        });
      },
    },
    // Behind the queue: it stops before it, and what ends while it does is recorded.
    {
      name: 'instance-agent',
      async start() {
        const agentPorts = {
          scheduler: clients.scheduler(),
          registry: clients.registry(),
          eventStore: clients.eventStore(),
          log: log('instance-agent'),
        };
        agent = await startInstanceAgent(agentPorts, {
          sharesProcess: true,
          dataDir: config.agentDataDir,
          hidden: [dataDir],
          agentId: config.agentAgentId,
          capacityMb: config.agentCapacityMb,
          logSpoolMb: config.agentLogSpoolMb,
          parallelStarts: config.agentParallelStarts,
          sandbox: config.agentSandbox,
          host,
          network: config.agentNetwork,
          subnet: config.agentSubnet,
          networkAllow: config.agentNetworkAllow,
          uids: config.agentUids,
          codeCacheMb: config.agentCodeCacheMb,
          ready: config.agentReady,
          pythonPath: config.agentPythonPath,
          searchPath: config.agentSearchPath,
          drainDeadlineMs: config.agentDrainDeadlineMs,
        });
        return agent.stop;
      },
    },
    {
      name: 'gateway',
      async start() {
        const gateway = await startGateway(
          {
            functions: clients.functions(),
            accessKeys: clients.accessKeys(),
            quotas: clients.quotas(),
            registry: clients.registry(),
            queues: [clients.queue()],
            scheduler: clients.scheduler(),
            eventStore: clients.eventStore(),
            log: log('gateway'),
          },
          keptKey ? { ...config.gateway, accessKeys: [accessKeyOf(keptKey.key)] } : config.gateway,
        );
        ports = gateway;
        return gateway.stop;
      },
    },
    {
      name: 'metrics',
      async start() {
        const server = await startMetricsServer(config, () => {
          const faults = [...eventStore.faults(), ...queue.faults()];
          return { isReady: faults.length === 0, waitsFor: [], faults };
        });
        metricsPort = server.port;
        return server.stop;
      },
    },
  ]);
  const at = (port: number): string => hostAndPort(host, port);
  return {
    addresses: { http: `http://${at(ports.httpPort)}`, grpc: at(ports.grpcPort), metrics: `http://${at(metricsPort)}` },
    keptKey,
    // The host drains first, while the doors stand: a caller that waits gets its answer.
    stop: () => agent.stop().finally(running.stop),
    force: () => agent.force(),
  };
}
