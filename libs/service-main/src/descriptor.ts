import type { EventLog } from '@evenfall/event-log';
import type { KafkaSettings } from '@evenfall/event-log/kafka/settings';
import type { StartPart } from '@evenfall/lifecycle';
import type { PoolOptions, Sql } from '@evenfall/postgres';
import type { BoundService, ClientOf, PeerOptions, PeerTls, ServiceDefinition } from '@evenfall/rpc';
import type { Log } from '@evenfall/telemetry';
import type { Dependency } from './dependencies.ts';
import type { ProcessConfig, ServiceName } from './settings.ts';

/** The environment of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What the settings of any service may hold when it is a process of its own. */
export type AnyConfig = ProcessConfig & {
  readonly grpcPort?: number;
  readonly httpPort?: number;
  readonly postgresUrl?: string | undefined;
  readonly registryAddress?: string;
  readonly schedulerAddress?: string;
  readonly eventStoreAddress?: string;
  readonly queueAddresses?: readonly string[];
};

/** What of another service is called, and how where it is another process. */
export type CalledService = { readonly services: readonly ServiceDefinition[] } & Pick<PeerOptions, 'streamsWait' | 'spread'>;

/** Words of the ready line: `grpc=…`. */
export type ReadyWords = Readonly<Record<string, string>>;

/**
 * What a service is started with. It does not show a service whether the others are in its process or behind the network. Whatever it opens here is closed in
 * reverse, what it serves first.
 */
export type ServiceContext<C> = {
  readonly config: C;
  readonly log: Log;
  /** Whether the other services are processes of their own, and there may be several of this one. */
  readonly isShared: boolean;
  /** The certificate of this process, where one is set. */
  readonly tls: PeerTls | undefined;
  readonly part: StartPart;
  /** Opens a pool, as soon as Postgres can be reached. In one process those without a name are one. */
  pool(options?: Partial<PoolOptions>): Promise<Sql>;
  /** Opens the event log, as soon as it can be reached. */
  eventLog(settings: KafkaSettings): Promise<EventLog>;
  /** Returns a client of a service that the descriptor names. As a process of its own this one is ready once that service has answered. */
  client<S extends ServiceDefinition>(service: S): Promise<ClientOf<S>>;
  /** Returns a client of each replica. As a process of its own this one is ready once one of them has answered. */
  clients<S extends ServiceDefinition>(service: S): Promise<readonly [ClientOf<S>, ...ClientOf<S>[]]>;
  /** Has the others call these. Returns where, for the ready line; nothing in one process. */
  serve(services: readonly BoundService[]): Promise<ReadyWords>;
  /** Names something else without which a process is not ready. */
  dependsOn(dependency: Dependency): void;
  /** Names what keeps the service from its work, for `/readyz`; asked at every request. */
  reportsFaults(faults: () => readonly string[]): void;
  /** Names what is stopped first where several services are one process: while the others still serve. */
  drainsFirst(drain: () => Promise<void>): void;
  /** Names what cuts short that stopping waits for something; it is done at the second signal. */
  onForce(action: () => void): void;
  /** Dependencies that do not answer now. */
  away(): string[];
};

/** What starting a service takes, whatever the shape. `C` is what it needs of its settings. */
export type Startable<C> = {
  readonly name: ServiceName;
  /** The services it calls. In one process they are started before it. */
  readonly dependencies: Readonly<Partial<Record<ServiceName, CalledService>>>;
  /** Starts it. Returns what its ready line says beside the metrics. */
  start(context: ServiceContext<C>): Promise<ReadyWords>;
};

/** A service: the same for a process of its own, whose settings are `P`, and for one process of all. */
export type ServiceDescriptor<C, P extends C & AnyConfig> = Startable<C> & {
  /** What it reads in either shape, and how a process of its own reads all it needs: that throws with every fault. */
  readonly settings: { readonly own: object; readonly read: (env: Environment) => P };
  /** Does what has to come before everything else in a process of its own, and may change the settings by it. Health is not answered yet. */
  readonly prepare?: (config: P, log: Log, signal: AbortSignal) => Promise<P>;
  /** How long stopping may take in a process of its own. Default 15 s. */
  readonly stopWithinMs?: (config: P) => number;
};

/** A service and those it calls. */
export type Named = Pick<Startable<never>, 'name' | 'dependencies'>;

/** The name of the service that offers this, and how it is called. Throws where the descriptor does not name it. */
export function calledService(
  { name, dependencies }: Named,
  service: ServiceDefinition,
): { readonly name: ServiceName; readonly options: Omit<CalledService, 'services'> } {
  for (const [called, dependency] of Object.entries(dependencies)) {
    const { services, ...options } = dependency;
    if (services.includes(service)) return { name: called as ServiceName, options }; // its keys are names of services
  }
  throw new Error(`The descriptor of ${name} does not name ${pathOf(service)} among its dependencies`);
}

/** A service as errors name it: "/evenfall.queue.v1.QueueService". */
export function pathOf(service: ServiceDefinition): string {
  return Object.values(service)[0]?.path.replace(/\/[^/]*$/, '') ?? 'a service without methods';
}
