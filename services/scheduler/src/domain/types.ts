import type { Assignment, AttemptResult, AttemptReport, AttemptStarted, StopAttempt } from '@evenfall/contracts/attempt/v1/attempt';
import type { AgentSet, AttachResponse } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { FunctionMessage as Fn } from '@evenfall/contracts/v1/function';
import type { Ability } from '@evenfall/contracts/v1/operator_service';

/** Where the reports of an attempt go: a queue replica's stream, or a caller that waits. */
export type ReportSink = {
  report(report: AttemptReport): void;
  /** Partitions it owns, by the epoch of its claim; undefined for a caller. */
  readonly claims: Map<number, bigint> | undefined;
  /** Acknowledges a claim, after everything that was reported. */
  claimed?(partition: number, epoch: bigint): void;
  /** Sends the agent set. */
  agents?(agents: AgentSet): void;
};

/** The stream of a queue replica, and what it knows of the agents; see `flows/agent-sets.ts`. */
export type Stream = {
  /** Ends it; the replica dials again. */
  readonly close: () => void;
  /** Whether its first batch, with the agents it knew of, has arrived. */
  hasReportedAgents: boolean;
  /** Agents it knew of before that have not attached yet; undefined if it did not know all of them. */
  awaited: Set<string> | undefined;
  /** Version of the last agent set that was sent to it, and of the last one that it acknowledged. */
  sentVersion: number;
  acknowledgedVersion: number;
  /** Since when an acknowledgement is missing, monotonic. */
  unacknowledgedSinceMs: number | undefined;
};

/** One worker host. */
export type Agent = {
  readonly id: string;
  sessionId: string;
  capacityMb: number;
  usedMb: number;
  parallelStarts: number;
  /** The most instances it gets. */
  maxInstances: number;
  /** Number of its recent claims that were refused, and since when; monotonic. */
  refused: { count: number; sinceMs: number };
  /** Share of its processors that is busy, as last reported. */
  cpuBusy: number;
  /** Megabytes that temporary files of its instances use in addition to `usedMb`, as last reported. */
  temporaryMb: number;
  starting: number;
  /** What its host can do, as reported. */
  abilities: readonly Ability[];
  attachTimeMs: number;
  /** The next batch for it; undefined when there is nothing to send. */
  outgoing: AttachResponse | undefined;
  /** Sends a batch; undefined while it is detached. */
  send: ((batch: AttachResponse) => void) | undefined;
  /** Monotonic time of its last message. */
  lastSeenMs: number;
  readonly instances: Map<string, Instance>;
  /** Whether a revoke has no effect on an attempt that has started there. */
  recalls: boolean;
  /** Whether all queue replicas have acknowledged it: it gets no work before. */
  isAcknowledged: boolean;
  /** Set once it drains: nothing new goes to it. Wall clock; undefined until it has reported the time. */
  drain: { deadlineTimeMs: number | undefined } | undefined;
  /** Ends its stream; undefined while it is detached. */
  close: (() => void) | undefined;
};

/** SETTLING: it runs no attempt, and work that its function left behind goes on: its runtime is not free yet. */
export type InstanceState = 'STARTING' | 'IDLE' | 'BUSY' | 'SETTLING' | 'STOPPING';

/** One process group of one function version. */
export type Instance = {
  readonly id: string;
  readonly agent: Agent;
  readonly pool: Pool;
  readonly revision: number;
  readonly memoryMb: number;
  readonly startTimeMs: number;
  state: InstanceState;
  attempt: ScheduledAttempt | undefined;
  /** Monotonic time of its start; whether an attempt has returned or thrown on it. */
  readonly startMs: number;
  proven: boolean;
  /** Whether its process ended by itself while an attempt ran. */
  crashed: boolean;
  /** Monotonic time since when it has run nothing: IDLE or SETTLING. */
  idleSinceMs: number;
};

/** The scheduler's state of an attempt, from its first message until its result is acknowledged. */
export type ScheduledAttempt = {
  assignment: Assignment;
  sink: ReportSink;
  instance: Instance | undefined;
  started: AttemptStarted | undefined;
  ended: AttemptResult | undefined;
  /** The agent that reported the end; undefined where the scheduler declared it. */
  endedBy: string | undefined;
  /** A stop request that came before it started, or while its agent was away. */
  stop: StopAttempt | undefined;
  /** Whether its agent was asked to revoke it if it has not started, because its instance is of an older revision. It is placed again then. */
  isRecalled: boolean;
  /** Whether its queue replica has requested to revoke it. */
  isRevokeRequested: boolean;
  /** Monotonic time it was handed to its instance. */
  sentMs: number;
  /** When the grant of its agent was issued, for an attempt that this scheduler did not assign; undefined where it did, or where the log names the agent. */
  adoptedMs: number | undefined;
};

/** Totals of all functions of one namespace. */
export type Space = {
  readonly namespace: string;
  readonly shares: Set<Share>;
  /** Its instances, and those among them that are being stopped. */
  instanceCount: number;
  leavingCount: number;
};

/** Totals of all versions of one function. */
export type Share = {
  /** "namespace/name". */
  readonly key: string;
  readonly account: Account;
  readonly space: Space;
  /** Megabytes reserved for it, and all it may have; 0 if it is off, undefined if it shares with all others. */
  reservedMb: number | undefined;
  /** Megabytes of its instances, and of those among them that are being stopped. */
  usedMb: number;
  leavingMb: number;
  readonly pools: Set<Pool>;
};

/** Everything of one function version: its instances, and the attempts that wait for one. */
export type Pool = {
  readonly key: string;
  readonly share: Share;
  /** Instances to have ready at least, events or none. */
  provisioned: number;
  /** Why some of them are missing and cannot be started now, as text; empty if nothing prevents it. */
  blockedReason: string;
  /** The reason of the last failed start. */
  lastFailure: string;
  /** The function that new instances run; undefined until the registry has answered. */
  fn: Fn | undefined;
  /** Whether that may have changed: nothing starts before the registry has answered again. */
  stale: boolean;
  /** Set while a call to the registry runs; settles when the pool is no longer stale, or the call failed. Never rejects. */
  resolving: Promise<void> | undefined;
  /** Oldest revision whose instances may run an attempt: older ones are replaced. Infinite while there is no such version. */
  oldest: number;
  /** Whether some of its instances may be of an older revision. */
  isMixed: boolean;
  /** Newest revision whose code package an agent did not find; 0 for none. */
  missingCode: number;
  readonly idle: Instance[];
  readonly instances: Set<Instance>;
  starting: number;
  settling: number;
  /** Attempts that wait for an instance, in order. */
  readonly waiting: AttemptQueue;
  /** Smoothed milliseconds that an attempt occupies an instance; undefined before the first has ended. */
  averageMs: number | undefined;
  /** Instances in a row that crashed, and the monotonic time before which no other is started. */
  crashes: number;
  startsAfterMs: number;
  /** Monotonic time of the last progress: an end, or the arrival of the first that waits. */
  lastProgressMs: number;
};

/** A first-in-first-out queue from which any attempt can be removed. */
export type AttemptQueue = {
  readonly size: number;
  push(attempt: ScheduledAttempt): void;
  /** Puts one back at the front. */
  unshift(attempt: ScheduledAttempt): void;
  /** All of them, in any order; they may be removed meanwhile. */
  all(): ScheduledAttempt[];
  shift(): ScheduledAttempt | undefined;
  remove(attempt: ScheduledAttempt): boolean;
  /** Removes those of queue replicas behind the first `kept`, newest first. */
  removeBehind(kept: number): ScheduledAttempt[];
};

/** What all functions have together, and what of it is set aside. */
export type Account = {
  /** Megabytes the instances of all functions may have; undefined until the registry has said. */
  totalMb: number | undefined;
  /** Megabytes the instances of functions have that reserve nothing. */
  sharedUsedMb: number;
  /** One for every function that is known, by "namespace/name". */
  readonly shares: Map<string, Share>;
  /** One for every namespace of theirs. */
  readonly spaces: Map<string, Space>;
  /** Instances a namespace may have; undefined for any number. "*" is the default of those that are not there. */
  instanceQuotas: ReadonlyMap<string, number | undefined>;
  /** Those of them that have something reserved, also 0. */
  readonly reserved: Set<Share>;
  /** Pools that may have fewer instances than are provisioned. */
  readonly short: Set<Pool>;
};
