import type { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import type { AccessKeyServiceService } from '@evenfall/contracts/v1/access_key_service';
import type { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import type { QuotaServiceService } from '@evenfall/contracts/v1/quota_service';
import { createByteBudget } from '@evenfall/api-limits';
import { createGrantChecker } from '@evenfall/grants';
import { migrate, type Sql } from '@evenfall/postgres';
import type { Implementation } from '@evenfall/rpc';
import { type Log, observable } from '@evenfall/telemetry';
import type { Clock } from '@evenfall/time';
import { createAccessKeyStore } from './adapters/postgres/access-key-store.ts';
import { createAuditStore } from './adapters/postgres/audit-store.ts';
import { startChangeFeed, startKeyFeed, startQuotaFeed } from './adapters/postgres/change-feed.ts';
import { createConcurrencyStore } from './adapters/postgres/concurrency-store.ts';
import { createFunctionSecretStore } from './adapters/postgres/function-secret-store.ts';
import { createFunctionStore } from './adapters/postgres/function-store.ts';
import { createAgentTokenStore } from './adapters/postgres/agent-token-store.ts';
import { createGrantKeyStore } from './adapters/postgres/grant-key-store.ts';
import { createQuotaStore } from './adapters/postgres/quota-store.ts';
import { packageInspector } from './adapters/inspect.ts';
import { accessKeyService, functionService, quotaService, registryService } from './api.ts';
import { PACKAGE_LIMITS, type PackageLimits } from '@evenfall/function-model';
import { createSealing } from './domain/sealing.ts';
import { joinAgent } from './flows/agent-tokens.ts';
import { sealAnew } from './flows/access-keys.ts';
import { getGrantKeys, sealGrantKeys } from './flows/grant-keys.ts';
import { type SealedCounts, sealFunctions } from './flows/seal-functions.ts';
import { runSweep } from './loops/sweep.ts';
import type { Joined, Joining, JoinRequest } from './ports.ts';

/** Packages of the largest size whose pieces are kept at the same time. */
const PACKAGES_AT_ONCE = 8;
const DEFAULT_CONCURRENCY_MB = 128_000;
const DEFAULT_AUDIT_RETENTION_MS = 90 * 24 * 3_600_000;

/** What the registry is given. The pool stays its owner's. */
export type RegistryDeps = {
  readonly sql: Sql;
  readonly log: Log;
  readonly clock: Clock;
  /** What issues certificates for agents that join by a token; without, none does. */
  readonly joining?: Joining | undefined;
};

export type RegistrySettings = {
  /** How large code packages may be; default `PACKAGE_LIMITS`. */
  readonly packageLimits?: PackageLimits;
  /** Whether webhooks may go to private addresses; default false. */
  readonly webhookAllowPrivate?: boolean;
  /** Without brokers a topic cannot be a destination. */
  readonly kafkaBrokers?: readonly string[] | undefined;
  readonly kafkaTopic?: string;
  /** Megabytes the instances of all functions may have together; default 128,000. */
  readonly concurrencyMb?: number;
  /** As 64 hex digits each; the first seals, all open. Without, there are no keys for SCF. */
  readonly sealingKeys?: readonly string[] | undefined;
  /** How long audit records are kept; default 90 days. */
  readonly auditRetentionMs?: number;
};

/** The running registry: its services, for a server or for callers in the same process. */
export type RunningRegistry = {
  readonly functions: Implementation<typeof FunctionServiceService>;
  readonly registry: Implementation<typeof RegistryServiceService>;
  readonly accessKeys: Implementation<typeof AccessKeyServiceService>;
  /** Lets an agent join that has no certificate yet. */
  readonly join: (request: JoinRequest) => Promise<Joined>;
  readonly quotas: Implementation<typeof QuotaServiceService>;
  /** Ends the watches. */
  stop(): Promise<void>;
};

/** Brings the schema up to date and starts. */
export async function startRegistry(deps: RegistryDeps, settings: RegistrySettings = {}): Promise<RunningRegistry> {
  await migrate(deps.sql, { schema: 'registry', dir: new URL('../migrations/', import.meta.url) });
  const feed = await startChangeFeed(deps.sql, deps.log);
  const keyFeed = await startKeyFeed(deps.sql, deps.log);
  const quotaFeed = await startQuotaFeed(deps.sql, deps.log);
  const sealing = createSealing(settings.sealingKeys ?? []);
  const store = createFunctionStore(deps.sql, sealing);
  observable('registry', {
    functions: { doc: 'Functions of all namespaces, without their versions.', kind: 'gauge', read: () => store.count() },
  });
  const packages = packageInspector();
  const registry = {
    store,
    concurrency: createConcurrencyStore(deps.sql, sealing),
    concurrencyMb: settings.concurrencyMb ?? DEFAULT_CONCURRENCY_MB,
    feed,
    keys: createAccessKeyStore(deps.sql),
    grantKeys: createGrantKeyStore(deps.sql),
    agentTokens: createAgentTokenStore(deps.sql),
    joining: deps.joining,
    audit: createAuditStore(deps.sql),
    keyFeed,
    quotas: createQuotaStore(deps.sql),
    quotaFeed,
    sealing,
    log: deps.log,
    clock: deps.clock,
    limits: settings.packageLimits ?? PACKAGE_LIMITS,
    packageBytes: createByteBudget(PACKAGES_AT_ONCE * (settings.packageLimits ?? PACKAGE_LIMITS).maxZipBytes),
    inspect: packages.inspect,
    destinations: {
      kafkaTopic: settings.kafkaBrokers && (settings.kafkaTopic ?? ''),
      allowPrivateWebhooks: settings.webhookAllowPrivate ?? false,
    },
  };
  const keys = async (): Promise<readonly Buffer[]> => (await getGrantKeys(registry)).keys;
  const packageGrants = createGrantChecker({ keys, clock: deps.clock });
  const sealedAnew = await sealAnew(registry);
  if (sealedAnew > 0) deps.log.info('secrets of access keys were sealed anew with the first sealing key', { keys: sealedAnew });
  await sealGrantKeys(registry);
  saySealed(deps.log, await sealFunctions(createFunctionSecretStore(deps.sql), sealing), sealing !== undefined);
  const stopping = new AbortController();
  const sweeping = runSweep(registry, settings.auditRetentionMs ?? DEFAULT_AUDIT_RETENTION_MS, stopping.signal);
  return {
    functions: functionService(registry),
    registry: registryService({ ...registry, packageGrants }),
    accessKeys: accessKeyService(registry),
    join: (request) => joinAgent(registry, request),
    quotas: quotaService(registry),
    async stop() {
      stopping.abort();
      await Promise.all([feed.stop(), keyFeed.stop(), quotaFeed.stop(), sweeping, packages.close()]);
    },
  };
}

/** Says how secrets of functions are kept, where that is not as it should be. */
function saySealed(log: Log, { sealed, locked, clear }: SealedCounts, isOn: boolean): void {
  if (sealed > 0) log.info('environments and webhook secrets were sealed with the first sealing key', { versions: sealed });
  if (locked > 0)
    log.error('environments were sealed with a key that is not in EVENFALL_SEALING_KEY: these versions do not run', undefined, {
      versions: locked,
    });
  if (!isOn)
    log.warn('EVENFALL_SEALING_KEY is not set: environments and webhook secrets are kept in the database as they are', { versions: clear });
}
