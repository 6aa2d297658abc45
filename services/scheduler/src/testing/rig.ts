import { Assignment, type AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import { AttachRequest, type AttachResponse, type DispatchRequest, Hello } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { refuse } from '@evenfall/errors';
import { silentLog } from '@evenfall/telemetry';
import { type FakeClock, fakeClock } from '@evenfall/time';
import { createCluster } from '../domain/cluster.ts';
import { createStartRate } from '../domain/start-rate.ts';
import type { Agent, ReportSink } from '../domain/types.ts';
import { attachAgent, detachAgent, takeBatch } from '../flows/attach-agent.ts';
import { takeDispatch } from '../flows/dispatch.ts';
import { tend } from '../loops/tend.ts';
import type { SchedulerPorts } from '../ports.ts';

export const LEASE_MS = 30_000;
export const IDLE_MS = 60_000;

/** An agent as the test plays it. */
export type PlayedAgent = {
  readonly agent: Agent;
  /** Everything it was sent, in order. */
  readonly got: AttachResponse[];
  all<K extends 'startInstances' | 'assignments' | 'stops' | 'stopInstances' | 'acks'>(kind: K): AttachResponse[K];
  says(batch: Partial<AttachRequest>): void;
  ready(instanceId: string): void;
  gone(instanceId: string): void;
  leaves(): void;
};

/** A scheduler between a queue and agents that are played by the test, at a time that stands still. */
export type Rig = {
  readonly ports: SchedulerPorts;
  readonly clock: FakeClock;
  /** What the queue was told. */
  readonly reports: AttemptReport[];
  readonly sink: ReportSink;
  /** What the registry says of a version; undefined for what does not exist. */
  readonly registry: Map<string, FunctionMessage>;
  attach(hello?: Partial<Hello>, first?: Partial<AttachRequest>): PlayedAgent;
  dispatch(batch: Partial<DispatchRequest>): Promise<void>;
  tend(): void;
};

export function fnOf(more: Partial<FunctionMessage> = {}): FunctionMessage {
  const base = { namespace: 'default', name: 'f', version: '$LATEST', revision: 1, memoryMb: 128, runtime: 'nodejs' };
  return { ...FunctionMessage.create(), ...base, ...more };
}

export function assignmentOf(eventId: string, more: Partial<Assignment> = {}): Assignment {
  return { ...Assignment.create({ namespace: 'default', function: 'f', version: '$LATEST', revision: 1, attempt: 1 }), eventId, ...more };
}

export function startRig(options: { readonly startsPerMinute?: number; readonly isShared?: boolean } = {}): Rig {
  const clock = fakeClock();
  const registry = new Map([
    ['f', fnOf()],
    ['g', fnOf({ name: 'g' })],
  ]);
  const reports: AttemptReport[] = [];
  // A stream that speaks for partition 0, where all of the tests' events are.
  const sink: ReportSink = { report: (report) => void reports.push(report), claims: new Map([[0, 1n]]) };
  let ids = 0;
  const ports: SchedulerPorts = {
    cluster: createCluster(),
    clock,
    log: silentLog,
    counters: { instance_starts_total: 0, instance_start_failures_total: 0, attempts_throttled_total: 0 },
    startRate: createStartRate(options.startsPerMinute ?? 10_000),
    leaseMs: LEASE_MS,
    isShared: options.isShared ?? true,
    startedMs: clock.monotonic(),
    lastTendMs: clock.monotonic(),
    newId: () => `i-${++ids}`,
    concurrency: () => Promise.reject(new Error('told by the test')),
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
      const whole = { ...Hello.create({ agentId: 'a', sessionId: 's1', capacityMb: 1_024, parallelStarts: 8, recalls: true }), ...hello };
      const agent = attachAgent(ports, { ...AttachRequest.create(), hello: whole, ...first }, whole, (batch) => void got.push(batch));
      const says = (batch: Partial<AttachRequest>): void => takeBatch(ports, agent, { ...AttachRequest.create(), ...batch });
      return {
        agent,
        got,
        all: (kind) => got.flatMap<unknown>((batch) => batch[kind]) as never, // of the kind that was asked for
        says,
        ready: (instanceId) => says({ instanceChanges: [{ instanceId, change: { $case: 'ready', value: { startMs: 1 } } }] }),
        gone: (instanceId) => says({ instanceChanges: [{ instanceId, change: { $case: 'gone', value: GONE } }] }),
        leaves: () => detachAgent(agent),
      };
    },
    async dispatch(batch) {
      takeDispatch(ports, { assignments: [], stops: [], acks: [], claims: [], agents: undefined, ...batch }, sink);
      await new Promise((resolve) => setImmediate(resolve)); // the registry answers
    },
    tend: () => tend(ports, IDLE_MS),
  };
}

const GONE = { startFailed: false, reason: '' };
