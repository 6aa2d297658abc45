import type { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import type { SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { refuse } from '@evenfall/errors';
import type { ClientOf, Implementation } from '@evenfall/rpc';
import { countable, createRepeats, type Log, observable } from '@evenfall/telemetry';
import { newUuidV7, systemClock } from '@evenfall/time';
import { createApi } from './api.ts';
import {
  attachedAgents,
  attemptsWaiting,
  type Cluster,
  createCluster,
  instancesByState,
  memoryOf,
  poolsBackingOff,
  provisionedCounts,
} from './domain/cluster.ts';
import { createGrants } from '@evenfall/grants';
import { createStartRate } from './domain/start-rate.ts';
import { runFollowFunctions } from './loops/follow-functions.ts';
import { runFollowGrantKeys } from './loops/follow-grant-keys.ts';
import { runMaintenance } from './loops/maintain.ts';
import type { SchedulerPorts } from './ports.ts';

export type SchedulerDeps = {
  readonly registry: ClientOf<RegistryServiceService>;
  readonly log: Log;
  /** Whether agents outlive it, as they do in processes of their own. */
  readonly isShared: boolean;
};
export type SchedulerSettings = {
  readonly leaseMs: number;
  readonly idleMs: number;
  readonly startsPerMinute: number;
  /** What one worker host counts for at most. */
  readonly agentMaxCapacityMb: number;
  readonly agentMaxInstances: number;
  readonly agentMaxParallelStarts: number;
};
export type Scheduler = {
  readonly api: Implementation<SchedulerServiceService>;
  /** Why no agent is let in, for people; empty once they are. */
  faults(): readonly string[];
  stop(): Promise<void>;
};

const NO_KEYS = 'no agent is let in before the registry has said by which keys attempts are given away; it is asked again every second';
/** How often it is said of one agent that it spoke of what it was not given. */
const CLAIMS_SILENCE_MS = 60_000;

/** Starts the scheduler. It knows nothing until agents and queue replicas report their state. */
export function startScheduler(deps: SchedulerDeps, settings: SchedulerSettings): Scheduler {
  const ports: SchedulerPorts = {
    cluster: createCluster(),
    clock: systemClock,
    log: deps.log,
    startRate: createStartRate(settings.startsPerMinute),
    counters: countable('scheduler', {
      instance_starts_total: { doc: 'Instances that were requested from agents.', kind: 'counter' },
      attempts_throttled_total: {
        doc: 'Attempts returned to the queue for a while: their function has used up its reserved concurrency.',
        kind: 'counter',
      },
      agent_claims_refused_total: {
        doc: 'Claims of agents about attempts and instances that were not assigned to them. All were refused.',
        kind: 'counter',
      },
      instance_start_failures_total: { doc: 'Instances that never became ready.', kind: 'counter' },
    }),
    agentLimits: {
      capacityMb: settings.agentMaxCapacityMb,
      instances: settings.agentMaxInstances,
      parallelStarts: settings.agentMaxParallelStarts,
    },
    leaseMs: settings.leaseMs,
    isShared: deps.isShared,
    startedMs: systemClock.monotonic(),
    lastMaintenanceMs: systemClock.monotonic(),
    newId: newUuidV7,
    async resolve(namespace, name, qualifier) {
      const { function: fn } = await deps.registry.resolveFunction({ namespace, name, qualifier }, { timeoutMs: 10_000 });
      if (!fn) throw refuse('FUNCTION_NOT_FOUND', { namespace, function: name });
      return fn;
    },
    grants: createGrants(),
    claimRepeats: createRepeats(CLAIMS_SILENCE_MS),
    grantKeys: async () => (await deps.registry.getGrantKeys({}, { timeoutMs: 10_000 })).keys,
    concurrency: () => deps.registry.getConcurrency({}, { timeoutMs: 10_000 }),
    watchFunctions: (signal) => deps.registry.watchFunctions({}, { signal }),
  };
  observeCluster(ports.cluster);
  const stopping = new AbortController();
  const loops = Promise.all([
    runMaintenance(ports, settings.idleMs, stopping.signal),
    runFollowFunctions(ports, stopping.signal),
    runFollowGrantKeys(ports, stopping.signal),
  ]);
  return {
    api: createApi(ports),
    faults: () => (ports.grants.isReady() ? [] : [NO_KEYS]),
    async stop() {
      stopping.abort();
      await loops;
    },
  };
}

/** Shows the state of the cluster as metrics, read at every scrape. */
function observeCluster(cluster: Cluster): void {
  observable('scheduler', {
    agents: { doc: 'Agents that are attached.', kind: 'gauge', read: () => attachedAgents(cluster) },
    instances: { doc: 'Instances on all agents, by state.', kind: 'gauge', label: 'state', readEach: () => instancesByState(cluster) },
    attempts_waiting: { doc: 'Attempts that wait for an instance.', kind: 'gauge', read: () => attemptsWaiting(cluster) },
    attempts_held: {
      doc: 'Attempts that a previous scheduler may have dispatched: they wait until it is certain that no agent has them.',
      kind: 'gauge',
      read: () => cluster.held.size,
    },
    functions_backing_off: {
      doc: 'Function versions whose instances are not started for a while, because several crashed in a row.',
      kind: 'gauge',
      read: () => poolsBackingOff(cluster, systemClock.monotonic()),
    },
    capacity_mb: {
      doc: 'Memory that the attached agents offer, in megabytes.',
      kind: 'gauge',
      read: () => memoryOf(cluster, 'capacityMb'),
    },
    provisioned_instances: {
      doc: 'Instances that are provisioned, whether they exist or not.',
      kind: 'gauge',
      read: () => provisionedCounts(cluster).wanted,
    },
    provisioned_instances_missing: {
      doc: 'Instances that are provisioned and have not been started, or have ended.',
      kind: 'gauge',
      read: () => provisionedCounts(cluster).missing,
    },
    reserved_mb: {
      doc: 'Memory that is reserved for functions, in megabytes.',
      kind: 'gauge',
      read: () => [...cluster.account.reserved].reduce((sum, { reservedMb }) => sum + (reservedMb ?? 0), 0),
    },
    used_mb: { doc: 'Memory that instances use, in megabytes.', kind: 'gauge', read: () => memoryOf(cluster, 'usedMb') },
  });
}
