import type { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import type { SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { refuse } from '@evenfall/errors';
import type { ClientOf, Implementation } from '@evenfall/rpc';
import { countable, type Log, observable } from '@evenfall/telemetry';
import { newUuidV7, systemClock } from '@evenfall/time';
import { createApi } from './api.ts';
import { attachedAgents, attemptsWaiting, createCluster, instancesByState, memoryOf, poolsBackingOff } from './domain/cluster.ts';
import { createStartRate } from './domain/start-rate.ts';
import { runTend } from './loops/tend.ts';
import type { SchedulerPorts } from './ports.ts';

export type SchedulerDeps = { readonly registry: ClientOf<RegistryServiceService>; readonly log: Log };
export type SchedulerSettings = { readonly leaseMs: number; readonly idleMs: number; readonly startsPerMinute: number };
export type Scheduler = { readonly api: Implementation<SchedulerServiceService>; stop(): Promise<void> };

/** Starts the scheduler. It knows nothing until agents and queue replicas tell it. */
export function startScheduler(deps: SchedulerDeps, settings: SchedulerSettings): Scheduler {
  const ports: SchedulerPorts = {
    cluster: createCluster(),
    clock: systemClock,
    log: deps.log,
    startRate: createStartRate(settings.startsPerMinute),
    counters: countable('scheduler', {
      instance_starts_total: { doc: 'Instances that were asked for.', kind: 'counter' },
      instance_start_failures_total: { doc: 'Instances that never became ready.', kind: 'counter' },
    }),
    leaseMs: settings.leaseMs,
    startedMs: systemClock.monotonic(),
    lastTendMs: systemClock.monotonic(),
    newId: newUuidV7,
    async resolve(namespace, name, qualifier) {
      const { function: spec } = await deps.registry.resolveFunction({ namespace, name, qualifier }, { timeoutMs: 10_000 });
      if (!spec) throw refuse('FUNCTION_NOT_FOUND', { namespace, function: name });
      return spec;
    },
  };
  const { cluster } = ports;
  observable('scheduler', {
    agents: { doc: 'Agents that are attached.', kind: 'gauge', read: () => attachedAgents(cluster) },
    instances: { doc: 'Instances on all agents, by state.', kind: 'gauge', label: 'state', readEach: () => instancesByState(cluster) },
    attempts_waiting: { doc: 'Attempts that wait for an instance.', kind: 'gauge', read: () => attemptsWaiting(cluster) },
    functions_backing_off: {
      doc: 'Function versions that start no instance for a while, because theirs crashed one after the other.',
      kind: 'gauge',
      read: () => poolsBackingOff(cluster, systemClock.monotonic()),
    },
    capacity_mb: { doc: 'Memory the attached agents offer.', kind: 'gauge', read: () => memoryOf(cluster, 'capacityMb') },
    used_mb: { doc: 'Memory of it that instances have.', kind: 'gauge', read: () => memoryOf(cluster, 'usedMb') },
  });
  const stopping = new AbortController();
  const tending = runTend(ports, settings.idleMs, stopping.signal);
  return {
    api: createApi(ports),
    async stop() {
      stopping.abort();
      await tending;
    },
  };
}
