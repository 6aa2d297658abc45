import { Assignment, type AttemptKey, type AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import {
  AttachRequest,
  type AttachResponse,
  type DispatchRequest,
  Hello,
  type InstanceReport,
} from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { refuse } from '@evenfall/errors';
import { createRepeats, silentLog } from '@evenfall/telemetry';
import { type FakeClock, fakeClock } from '@evenfall/time';
import { type AgentLimits, HELLO_LIMITS } from '../domain/check-hello.ts';
import { createCluster } from '../domain/cluster.ts';
import { createGrants, grantedAttempt, grantedInstance, type Grants } from '@evenfall/grants';
import { createStartRate } from '../domain/start-rate.ts';
import type { Agent, ReportSink } from '../domain/types.ts';
import { attachAgent, detachAgent, applyBatch } from '../flows/attach-agent.ts';
import { applyDispatch } from '../flows/dispatch.ts';
import { maintain } from '../loops/maintain.ts';
import type { SchedulerPorts } from '../ports.ts';

export const LEASE_MS = 30_000;
export const IDLE_MS = 60_000;

/** An agent as the test plays it. */
export type PlayedAgent = {
  readonly agent: Agent;
  /** Everything it was sent, in order. */
  readonly got: AttachResponse[];
  all<K extends 'startInstances' | 'assignments' | 'stops' | 'stopInstances' | 'acks'>(kind: K): AttachResponse[K];
  sends(batch: Partial<AttachRequest>): void;
  ready(instanceId: string): void;
  gone(instanceId: string): void;
  leaves(): void;
};

/** A scheduler between a queue and agents that the test plays, with a clock that only the test moves. */
export type Rig = {
  readonly ports: SchedulerPorts;
  readonly clock: FakeClock;
  /** Reports to the queue. */
  readonly reports: AttemptReport[];
  readonly sink: ReportSink;
  /** Versions in the registry; undefined for one that does not exist. */
  readonly registry: Map<string, FunctionMessage>;
  /** Attempts and instances in the hello without a grant get one, as from a previous scheduler. */
  attach(hello?: Partial<Hello>, first?: Partial<AttachRequest>): PlayedAgent;
  dispatch(batch: Partial<DispatchRequest>): Promise<void>;
  maintain(): void;
};

export function fnOf(more: Partial<FunctionMessage> = {}): FunctionMessage {
  const base = { namespace: 'default', name: 'ff', version: '$LATEST', revision: 1, memoryMb: 128, runtime: 'nodejs' };
  return { ...FunctionMessage.create(), ...base, ...more };
}

export function assignmentOf(eventId: string, more: Partial<Assignment> = {}): Assignment {
  return { ...Assignment.create({ namespace: 'default', function: 'ff', version: '$LATEST', revision: 1, attempt: 1 }), eventId, ...more };
}

/** A key that every scheduler of the tests has. */
const GRANT_KEY = Buffer.alloc(32, 7);

/** Grants by the keys of the tests or by others. */
export function grantsOf(...keys: Buffer[]): Grants {
  const grants = createGrants();
  grants.use(keys.length > 0 ? keys : [GRANT_KEY]);
  return grants;
}

type RigOptions = {
  readonly startsPerMinute?: number;
  readonly isShared?: boolean;
  readonly grants?: Grants;
  readonly agentLimits?: AgentLimits;
};

export function startRig(options: RigOptions = {}): Rig {
  const clock = fakeClock();
  const registry = new Map([
    ['ff', fnOf()],
    ['fg', fnOf({ name: 'fg' })],
  ]);
  const reports: AttemptReport[] = [];
  // A stream that speaks for partition 0, where all of the tests' events are.
  const sink: ReportSink = { report: (report) => void reports.push(report), claims: new Map([[0, 1n]]) };
  let ids = 0;
  const ports: SchedulerPorts = {
    cluster: createCluster(),
    clock,
    log: silentLog,
    counters: { instance_starts_total: 0, instance_start_failures_total: 0, attempts_throttled_total: 0, agent_claims_refused_total: 0 },
    grants: options.grants ?? grantsOf(),
    claimRepeats: createRepeats(60_000),
    grantKeys: () => Promise.reject(new Error('set by the test')),
    startRate: createStartRate(options.startsPerMinute ?? 10_000),
    agentLimits: options.agentLimits ?? HELLO_LIMITS,
    leaseMs: LEASE_MS,
    isShared: options.isShared ?? true,
    startedMs: clock.monotonic(),
    lastMaintenanceMs: clock.monotonic(),
    newId: () => `i-${++ids}`,
    concurrency: () => Promise.reject(new Error('set by the test')),
    watchFunctions: async function* () {},
    async resolve(namespace, fn) {
      const found = registry.get(fn);
      if (!found) throw refuse('FUNCTION_NOT_FOUND', { namespace, function: fn });
      return found;
    },
  };
  ports.cluster.epochs.set(0, 1n);
  ports.cluster.account.totalMb = 128_000;
  return {
    ports,
    clock,
    reports,
    sink,
    registry,
    attach(hello = {}, first = {}) {
      const got: AttachResponse[] = [];
      const plain = { ...Hello.create({ agentId: 'a', sessionId: 's1', capacityMb: 1_024, parallelStarts: 8, recalls: true }), ...hello };
      const granted = <T extends AttemptKey | AttemptReport>(key: T): T =>
        key.grant ? key : { ...key, grant: ports.grants.sign(grantedAttempt(key), plain.agentId, clock.now()).bytes };
      const grantedOne = (one: InstanceReport): InstanceReport => {
        if (one.grant || !one.function) return one;
        return { ...one, grant: ports.grants.sign(grantedInstance(one.instanceId, one.function), plain.agentId, clock.now()).bytes };
      };
      const complete = { ...plain, held: plain.held.map(granted), instances: plain.instances.map(grantedOne) };
      const honest = (batch: Partial<AttachRequest>): AttachRequest => {
        return { ...AttachRequest.create(), ...batch, reports: (batch.reports ?? []).map(granted) };
      };
      const agent = attachAgent(ports, honest({ ...first, hello: complete }), complete, (batch) => void got.push(batch));
      const sends = (batch: Partial<AttachRequest>): void => applyBatch(ports, agent, honest(batch));
      return {
        agent,
        got,
        all: (kind) => got.flatMap<unknown>((batch) => batch[kind]) as never, // of the kind that was asked for
        sends,
        ready: (instanceId) => sends({ instanceChanges: [{ instanceId, change: { $case: 'ready', value: { startMs: 1 } } }] }),
        gone: (instanceId) => sends({ instanceChanges: [{ instanceId, change: { $case: 'gone', value: GONE } }] }),
        leaves: () => detachAgent(agent),
      };
    },
    async dispatch(batch) {
      applyDispatch(ports, { assignments: [], stops: [], acks: [], claims: [], agents: undefined, ...batch }, sink);
      await new Promise((resolve) => setImmediate(resolve)); // the registry answers
    },
    maintain: () => maintain(ports, IDLE_MS),
  };
}

const GONE = { startFailed: false, reason: '' };
