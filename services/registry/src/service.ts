import type { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import type { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { migrate, type Sql } from '@evenfall/postgres';
import type { Implementation } from '@evenfall/rpc';
import { type Log, observable } from '@evenfall/telemetry';
import type { Clock } from '@evenfall/time';
import { startChangeFeed } from './adapters/postgres/change-feed.ts';
import { createConcurrencyStore } from './adapters/postgres/concurrency-store.ts';
import { createFunctionStore } from './adapters/postgres/function-store.ts';
import { packageInspector } from './adapters/inspect.ts';
import { functionService, registryService } from './api.ts';
import { PACKAGE_LIMITS, type PackageLimits } from './domain/code-package.ts';

export { PACKAGE_LIMITS, type PackageLimits } from './domain/code-package.ts';

const DEFAULT_CONCURRENCY_MB = 128_000;

/** What the registry is given. The pool stays its owner's. */
export type RegistryDeps = { readonly sql: Sql; readonly log: Log; readonly clock: Clock };

export type RegistrySettings = {
  /** How large code packages may be; default `PACKAGE_LIMITS`. */
  readonly packageLimits?: PackageLimits;
  /** Whether webhooks may go to private addresses; default false. */
  readonly webhookAllowPrivate?: boolean;
  /** Without brokers there are no topics to tell. */
  readonly kafkaBrokers?: readonly string[] | undefined;
  readonly kafkaTopic?: string;
  /** Megabytes the instances of all functions may have together; default 128,000. */
  readonly concurrencyMb?: number;
};

/** The running registry: its two services, for a server or for callers in the same process. */
export type RunningRegistry = {
  readonly functions: Implementation<typeof FunctionServiceService>;
  readonly registry: Implementation<typeof RegistryServiceService>;
  /** Ends the watches. */
  stop(): Promise<void>;
};

/** Brings the schema up to date and starts. */
export async function startRegistry(deps: RegistryDeps, settings: RegistrySettings = {}): Promise<RunningRegistry> {
  await migrate(deps.sql, { schema: 'registry', dir: new URL('../migrations/', import.meta.url) });
  const feed = await startChangeFeed(deps.sql, deps.log);
  const store = createFunctionStore(deps.sql);
  observable('registry', {
    functions: { doc: 'Functions of all namespaces, without their versions.', kind: 'gauge', read: () => store.count() },
  });
  const packages = packageInspector();
  const registry = {
    store,
    concurrency: createConcurrencyStore(deps.sql),
    concurrencyMb: settings.concurrencyMb ?? DEFAULT_CONCURRENCY_MB,
    feed,
    clock: deps.clock,
    limits: settings.packageLimits ?? PACKAGE_LIMITS,
    inspect: packages.inspect,
    destinations: {
      kafkaTopic: settings.kafkaBrokers && (settings.kafkaTopic ?? ''),
      allowPrivateWebhooks: settings.webhookAllowPrivate ?? false,
    },
  };
  return {
    functions: functionService(registry),
    registry: registryService(registry),
    stop: () => Promise.all([feed.stop(), packages.close()]).then(() => undefined),
  };
}
