import type { EventLog } from '@evenfall/event-log';
import type { StartPart } from '@evenfall/lifecycle';
import type { PoolOptions, Sql } from '@evenfall/postgres';
import { type BoundService, type ClientOf, inProcessClient, type ServiceDefinition } from '@evenfall/rpc';
import type { Log } from '@evenfall/telemetry';
import { calledService, type Named, pathOf, type ReadyWords, type ServiceContext, type Startable } from './descriptor.ts';

/** What the services of one process share. */
export type Shared = {
  readonly part: StartPart;
  readonly log: (name: string) => Log;
  readonly sql: Sql;
  readonly openPool: (options: PoolOptions) => Promise<Sql>;
  readonly eventLog: EventLog;
};

/** A service and its settings in one process. */
export type Configured = { readonly start: (process: OneProcess) => Promise<ReadyWords> };

/** The services of one process, as far as they have been started. */
export type OneProcess = {
  start<C>(descriptor: Startable<C>, config: C): Promise<ReadyWords>;
  /** What keeps services from their work. */
  faults(): string[];
  /** Stops what is stopped first, while all services still serve. */
  drain(): Promise<void>;
  /** Cuts short what stopping waits for. */
  force(): void;
};

/** Puts a service and its settings together, checked against each other. */
export function configured<C>(descriptor: Startable<C>, config: C): Configured {
  return { start: (process) => process.start(descriptor, config) };
}

/** Joins services in one process: a service calls those that were started before it straight through. */
export function createOneProcess({ part, log, sql, openPool, eventLog }: Shared): OneProcess {
  const offered = new Map<ServiceDefinition, BoundService['implementation']>();
  const faults: (() => readonly string[])[] = [];
  const drains: (() => Promise<void>)[] = [];
  const forces: (() => void)[] = [];
  const unexpected = (error: unknown, method: string): void => log('rpc').error('a call failed unexpectedly', error, { method });

  const clientFor = <S extends ServiceDefinition>(descriptor: Named, service: S): ClientOf<S> => {
    const { name } = calledService(descriptor, service);
    const implementation = offered.get(service);
    if (!implementation) throw new Error(`${descriptor.name} calls ${pathOf(service)} of ${name}, which is not started before it`);
    // `bind` has checked it against its service.
    return inProcessClient(service, implementation as Parameters<typeof inProcessClient<S>>[1], unexpected);
  };
  const contextOf = <C>(descriptor: Startable<C>, config: C): ServiceContext<C> => ({
    config,
    log: log(descriptor.name),
    isShared: false,
    tls: undefined,
    part,
    pool: (options = {}) =>
      options.name === undefined
        ? Promise.resolve(sql)
        : part(
            `database pool of the ${descriptor.name}`,
            () => openPool({ name: descriptor.name, ...options }),
            (pool) => pool.end({ timeout: 5 }),
          ),
    eventLog: () => Promise.resolve(eventLog),
    client: (service) => Promise.resolve(clientFor(descriptor, service)),
    clients: (service) => Promise.resolve([clientFor(descriptor, service)]),
    serve(services) {
      for (const { service, implementation } of services) offered.set(service, implementation);
      return Promise.resolve({});
    },
    dependsOn: () => undefined, // what it would wait for is started already
    reportsFaults: (reported) => void faults.push(reported),
    drainsFirst: (drain) => void drains.push(drain),
    onForce: (action) => void forces.push(action),
    away: () => [],
  });
  return {
    start: (descriptor, config) => descriptor.start(contextOf(descriptor, config)),
    faults: () => faults.flatMap((reported) => reported()),
    async drain() {
      await Promise.all(drains.map((drain) => drain()));
    },
    force: () => forces.forEach((force) => force()),
  };
}
