import type { GetConcurrencyResponse } from '@evenfall/contracts/registry/v1/registry_service';
import type { FunctionMessage as Fn } from '@evenfall/contracts/v1/function';
import type { Clock } from '@evenfall/time';
import type { Counters, Log, Repeats } from '@evenfall/telemetry';
import type { AgentLimits } from './domain/check-hello.ts';
import type { Cluster } from './domain/cluster.ts';
import type { Grants } from '@evenfall/grants';
import type { StartRate } from './domain/start-rate.ts';

/** What the scheduler's flows work with. */
export type SchedulerPorts = {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly log: Log;
  readonly startRate: StartRate;
  readonly counters: Counters<
    'instance_starts_total' | 'instance_start_failures_total' | 'attempts_throttled_total' | 'agent_claims_refused_total'
  >;
  /** Grants: proofs of what was assigned to which agent. */
  readonly grants: Grants;
  /** Which agents it was said of lately that they spoke of what they were not given. */
  readonly claimRepeats: Repeats;
  /** Asks the registry for the keys of grants. */
  readonly grantKeys: () => Promise<readonly Buffer[]>;
  readonly agentLimits: AgentLimits;
  readonly leaseMs: number;
  /** Monotonic start time of this scheduler: its recovery window is one lease from then on. */
  readonly startedMs: number;
  /** Whether agents outlive it. In one process they do not: no agent holds attempts of a previous scheduler. */
  readonly isShared: boolean;
  /** Monotonic time of the last look at everything. */
  lastMaintenanceMs: number;
  readonly newId: () => string;
  /** Asks the registry what a version is now; rejects with FUNCTION_NOT_FOUND. */
  readonly resolve: (namespace: string, fn: string, version: string) => Promise<Fn>;
  /** Asks the registry what is reserved and provisioned. */
  readonly concurrency: () => Promise<GetConcurrencyResponse>;
  /** Yields once when it is established, without a name, and then at every change of a function; ends when some may have been missed. */
  readonly watchFunctions: (signal: AbortSignal) => AsyncIterable<{ readonly namespace: string; readonly name: string }>;
};
