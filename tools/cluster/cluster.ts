import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureKeyFile, ensureSealingKeyFile } from '@evenfall/access-key';
import { clusterCertificates } from './certificates.ts';
import { freePorts } from './ports.ts';
import { type ClusterProcess, clusterProcess, type Exit } from './process.ts';

export type { ClusterProcess, Exit } from './process.ts';

export type ClusterOptions = {
  /** Folder of everything that is kept. A second start on it goes on with the same data. */
  readonly dataDir: string;
  /** Where the events are: in the Postgres, or in a Kafka of the cluster's own. Default `embedded`. */
  readonly log?: 'embedded' | 'kafka';
  /** Replicas of the queue. Default 1 with the embedded log, which has one owner of all partitions, and 2 with Kafka. */
  readonly queues?: number;
  /** Replicas of the event-store. Default 1. */
  readonly eventStores?: number;
  /** Default 2. */
  readonly agents?: number;
  /** Settings of every process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Settings of one process more, by its name. */
  readonly envOf?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Secret of the private ports. Default: one made for this start. */
  readonly internalKey?: string;
  /** Whether services speak TLS, each with a certificate of its own; the authority is in `tls` of the data folder. Default false. */
  readonly tls?: boolean;
  /** How long certificates are valid that agents get by tokens, as a duration: the registry issues them then. With `tls`. Default: it does not. */
  readonly joinValid?: string;
  /** Folder in which the access key is kept, if none is set. Default: `dataDir`. */
  readonly keyDir?: string;
  /** Starts a process again that ends by itself. Default false. */
  readonly restart?: boolean;
  /** Called with every line of the logs of the processes. */
  onLine?(name: string, line: string): void;
  /** Called for every process that ended without a request. */
  onDeath?(process: ClusterProcess, exit: Exit): void;
  /** How long each process may take until it is ready. Default 60 s. */
  readonly readyWithinMs?: number;
};

/** A running cluster: each service a process of its own, as on machines of their own. */
export type Cluster = {
  /** Address of the REST API. */
  readonly http: string;
  /** Address of the gRPC API. */
  readonly grpc: string;
  /** In the order they were started: postgres, kafka, registry, event-store, scheduler, agent-1 …, queue-1 …, gateway. */
  readonly processes: readonly ClusterProcess[];
  /** Throws if there is none of that name. */
  process(name: string): ClusterProcess;
  readonly internalKey: string;
  /** The access key, as `id:secret`: the first of several; empty if the APIs are open. */
  readonly accessKey: string;
  /** The file it is kept in, if none is set. */
  readonly accessKeyFile: string | undefined;
  /** Stops all in reverse order; answers how each ended. */
  stop(): Promise<ReadonlyMap<string, Exit>>;
};

/** Longer than a service's own limit: it ends by itself. */
const STOP_WITHIN_MS = 45_000;
const RESTART_PAUSE_MS = 500;
/** The first start fetches the broker. */
const FETCH_WITHIN_MS = 300_000;
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

type Counts = { readonly queues: number; readonly eventStores: number; readonly agents: number };
type Env = Readonly<Record<string, string>>;
type Add = (name: string, program: string, args: readonly string[], env: Env) => ClusterProcess;

/** How many replicas each service has. */
function countsOf({ log, queues = log === 'kafka' ? 2 : 1, eventStores = 1, agents = 2 }: ClusterOptions): Counts {
  if (log !== 'kafka' && queues !== 1) throw new RangeError('The embedded log has one owner of all partitions: there is one queue with it');
  return { queues, eventStores, agents };
}

/** Starts a cluster and waits until every process is ready. If one is not, those that were started are stopped. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const counts = countsOf(options);
  const dataDir = resolve(options.dataDir);
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const internalKey = options.internalKey ?? randomBytes(24).toString('base64url');
  const gatewayEnv = { ...options.env, ...options.envOf?.['gateway'] };
  const set = gatewayEnv['EVENFALL_ACCESS_KEYS'] ?? '';
  const isOpen = gatewayEnv['EVENFALL_OPEN'] === 'yes';
  // Gateways have no folder of their own: they are given the key, and this is where callers find it.
  const kept = set === '' && !isOpen ? await ensureKeyFile(options.keyDir ?? dataDir) : undefined;
  const processes: ClusterProcess[] = [];
  let isStopping = false;

  const add: Add = (name, program, args, env) => {
    const made = makeProcess(options, name, [join(ROOT, program), ...args], env, () => isStopping);
    processes.push(made);
    return made;
  };
  const stop = async (): Promise<ReadonlyMap<string, Exit>> => {
    isStopping = true;
    const exits = new Map<string, Exit>();
    for (const each of [...processes].reverse()) {
      exits.set(each.name, await each.stop());
      killServer(each); // one whose keeper was killed from outside
    }
    return exits;
  };

  try {
    const postgres = add('postgres', 'tools/cluster/postgres.ts', [join(dataDir, 'postgres')], {});
    postgres.start();
    await postgres.ready();
    const broker = options.log === 'kafka' ? add('kafka', 'tools/cluster/kafka.ts', [join(dataDir, 'kafka')], {}) : undefined;
    broker?.start();
    await broker?.ready();
    const gateway = await addServices(options, counts, add, {
      dataDir,
      internalKey,
      accessKey: kept?.key,
      database: { EVENFALL_POSTGRES_URL: postgres.addresses['url'] ?? '' },
      logEnv: broker ? { EVENFALL_KAFKA_BROKERS: broker.addresses['brokers'] ?? '' } : {},
    });
    // In no order: each waits for those it needs.
    for (const each of processes) each.start();
    await Promise.all(processes.map((each) => each.ready()));
    return {
      http: gateway.addresses['http'] ?? '',
      grpc: gateway.addresses['grpc'] ?? '',
      processes,
      internalKey,
      accessKey: kept?.key ?? set.split(',', 1)[0] ?? '',
      accessKeyFile: kept?.path,
      process(name) {
        const found = processes.find((each) => each.name === name);
        if (!found) throw new RangeError(`There is no ${name}`);
        return found;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function makeProcess(options: ClusterOptions, name: string, args: readonly string[], env: Env, isStopping: () => boolean): ClusterProcess {
  return clusterProcess({
    name,
    args,
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/', ...env, ...options.env, ...options.envOf?.[name] },
    readyWithinMs: name === 'kafka' ? FETCH_WITHIN_MS : (options.readyWithinMs ?? 60_000),
    stopWithinMs: STOP_WITHIN_MS,
    onLine: (from, line) => options.onLine?.(from, line),
    onDeath(died, exit) {
      if (isStopping()) return;
      options.onDeath?.(died, exit);
      if (options.restart) setTimeout(() => isStopping() || died.start(), RESTART_PAUSE_MS);
    },
  });
}

type Stores = {
  readonly dataDir: string;
  readonly internalKey: string;
  readonly accessKey: string | undefined;
  readonly database: Env;
  readonly logEnv: Env;
};

/** Adds the services in the order of `Cluster.processes`; returns the gateway. None of them is started. */
async function addServices(options: ClusterOptions, counts: Counts, add: Add, stores: Stores): Promise<ClusterProcess> {
  const { dataDir, internalKey, database, logEnv } = stores;
  // Chosen here and not by each process: it has them again after a restart, and the others know them before it starts.
  const ports = await freePorts(9 + 2 * counts.queues + 2 * counts.eventStores + counts.agents);
  const port = (): string => String(ports.shift());
  const certificateOf = options.tls ? await clusterCertificates(join(dataDir, 'tls')) : undefined;
  const service = async (name: string, main: string, env: Env): Promise<ClusterProcess> =>
    add(name, `services/${main}/src/main.ts`, [], {
      EVENFALL_STOP_ON_STDIN_END: 'true',
      EVENFALL_INTERNAL_KEY: internalKey,
      EVENFALL_METRICS_PORT: port(),
      ...logEnv,
      ...(await certificateOf?.(main === 'instance-agent' ? `agent/${name}` : main)),
      ...env,
    });
  const [registryPort, schedulerPort] = [port(), port()];
  const eventStorePorts = Array.from({ length: counts.eventStores }, port);
  const queuePorts = Array.from({ length: counts.queues }, port);
  const registry = { EVENFALL_REGISTRY_ADDRESS: `127.0.0.1:${registryPort}` };
  const eventStore = { EVENFALL_EVENT_STORE_ADDRESS: eventStorePorts.map((one) => `127.0.0.1:${one}`).join(',') };
  const scheduler = { EVENFALL_SCHEDULER_ADDRESS: `127.0.0.1:${schedulerPort}` };
  const all = { ...registry, ...eventStore, ...scheduler };
  const { key: sealingKey } = await ensureSealingKeyFile(options.keyDir ?? dataDir);
  const joining = options.joinValid
    ? { EVENFALL_JOIN_AUTHORITY: join(dataDir, 'tls'), EVENFALL_JOIN_PORT: port(), EVENFALL_JOIN_VALID: options.joinValid }
    : {};
  await service('registry', 'registry', {
    ...database,
    ...joining,
    EVENFALL_GRPC_PORT: registryPort,
    EVENFALL_SEALING_KEY: sealingKey,
  });
  for (const [i, own] of eventStorePorts.entries())
    await service(i === 0 ? 'event-store' : `event-store-${i + 1}`, 'event-store', { ...database, ...registry, EVENFALL_GRPC_PORT: own });
  await service('scheduler', 'scheduler', { ...registry, EVENFALL_GRPC_PORT: schedulerPort });
  for (let i = 1; i <= counts.agents; i++)
    await service(`agent-${i}`, 'instance-agent', { ...all, ...agentEnv(`agent-${i}`, options.keyDir ?? dataDir, dataDir, counts.agents) });
  for (const [i, queuePort] of queuePorts.entries())
    await service(`queue-${i + 1}`, 'queue', { ...database, ...all, EVENFALL_GRPC_PORT: queuePort });
  return service('gateway', 'gateway', {
    ...all,
    EVENFALL_QUEUE_ADDRESSES: queuePorts.map((queuePort) => `127.0.0.1:${queuePort}`).join(','),
    EVENFALL_HTTP_PORT: port(),
    EVENFALL_GRPC_PORT: port(),
    ...(stores.accessKey === undefined ? {} : { EVENFALL_ACCESS_KEYS: stores.accessKey }),
  });
}

/** Settings of an agent: all agents share the memory and the processors of this machine. */
function agentEnv(name: string, keyDir: string, dataDir: string, agents: number): Env {
  return {
    EVENFALL_AGENT_NAME: name,
    EVENFALL_DATA_DIR: keyDir, // functions do not see what is in it
    EVENFALL_AGENT_DATA_DIR: join(dataDir, name),
    EVENFALL_AGENT_DRAIN_DEADLINE: '0s', // all stop at once: there is no other host to go to
    EVENFALL_AGENT_CAPACITY_MB: String(Math.max(256, Math.floor(((totalmem() / 1024 / 1024) * 0.75) / agents))),
    EVENFALL_AGENT_PARALLEL_STARTS: String(Math.max(1, Math.floor((availableParallelism() * 2) / agents))),
  };
}

function killServer(of: ClusterProcess): void {
  const pid = Number(of.addresses['server_pid']);
  try {
    if (pid > 1) process.kill(pid, 'SIGKILL');
  } catch {
    // it has gone, as it should
  }
}
