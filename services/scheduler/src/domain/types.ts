import type { Assignment, AttemptResult, AttemptReport, AttemptStarted, StopAttempt } from '@evenfall/contracts/attempt/v1/attempt';
import type { AgentSet, AttachResponse } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { FunctionMessage as Fn } from '@evenfall/contracts/v1/function';
import type { Ability } from '@evenfall/contracts/v1/operator_service';

/** Where the reports of an attempt go: a queue replica's stream, or a caller that waits. */
export type ReportSink = {
  report(report: AttemptReport): void;
  /** Partitions it speaks for, and since when; undefined for a caller, who speaks for nobody else. */
  readonly claims: Map<number, bigint> | undefined;
  /** Says, behind everything that was reported, that a claim was taken in. */
  claimed?(partition: number, epoch: bigint): void;
  /** Says which agents there are. */
  agents?(agents: AgentSet): void;
};

/** What a queue replica knows of the agents, by its stream; see `flows/agent-sets.ts`. */
export type Stream = {
  /** Ends it; the replica dials again. */
  readonly close: () => void;
  /** Whether its first batch has come. */
  hasReportedAgents: boolean;
  /** Those it knew of before and that have not come yet; undefined if it did not know of all. */
  awaited: Set<string> | undefined;
  /** Number of the last word it was told, and of the last it said back. */
  sentVersion: number;
  acknowledgedVersion: number;
  /** Since when it owes such a word, monotonic. */
  unacknowledgedSinceMs: number | undefined;
};

/** One worker host. */
export type Agent = {
  readonly id: string;
  sessionId: string;
  capacityMb: number;
  usedMb: number;
  parallelStarts: number;
  /** Instances it is given at most. */
  maxInstances: number;
  /** How much it has said lately of what it was not given, and since when; monotonic. */
  refused: { count: number; sinceMs: number };
  /** Share of its processors that is busy, as it last said. */
  cpuBusy: number;
  /** Megabytes that temporary files of its instances hold beside `usedMb`, as it last said. */
  temporaryMb: number;
  starting: number;
  /** What its host can do, as it said. */
  abilities: readonly Ability[];
  attachTimeMs: number;
  /** The next batch for it; undefined when there is nothing to say. */
  outgoing: AttachResponse | undefined;
  /** Sends a batch; undefined while it is detached. */
  send: ((batch: AttachResponse) => void) | undefined;
  /** Monotonic time of its last sign of life. */
  lastSeenMs: number;
  readonly instances: Map<string, Instance>;
  /** Whether it leaves an attempt alone that is asked back and has started. */
  recalls: boolean;
  /** Whether all queue replicas know of it: it is given nothing before. */
  isAcknowledged: boolean;
  /** Set once it drains: nothing new goes to it. Wall clock; undefined until it has said when. */
  drain: { deadlineTimeMs: number | undefined } | undefined;
  /** Ends its stream; undefined while it is detached. */
  close: (() => void) | undefined;
};

/** SETTLING: it runs nothing, and what its function left behind goes on: its runtime is not free yet. */
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

/** One attempt from its first mention until its outcome is acknowledged. */
export type ScheduledAttempt = {
  assignment: Assignment;
  sink: ReportSink;
  instance: Instance | undefined;
  started: AttemptStarted | undefined;
  ended: AttemptResult | undefined;
  /** The agent that said so; undefined where the scheduler declared it. */
  endedBy: string | undefined;
  /** Asked to stop while it had not started, or while its agent was away. */
  stop: StopAttempt | undefined;
  /** Whether its agent was asked to give it back if it has not started, because its instance is of an older revision: it is placed again then. */
  isRecalled: boolean;
  /** Whether its queue replica has asked for it back. */
  isRevokeRequested: boolean;
  /** Monotonic time it was handed to its instance. */
  sentMs: number;
  /** When the grant was made by which an agent has it that this scheduler did not give it to; undefined where this one did, or the log says who has it. */
  adoptedMs: number | undefined;
};

/** What all functions of one namespace have together. */
export type Space = {
  readonly namespace: string;
  readonly shares: Set<Share>;
  /** Its instances, and those among them that are being stopped. */
  instanceCount: number;
  leavingCount: number;
};

/** What all versions of one function have together. */
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
  /** Why some of them are missing and none is started now, for people; empty if nothing is in the way. */
  blockedReason: string;
  /** What the last start that failed said. */
  lastFailure: string;
  /** What new instances run; undefined until the registry has said. */
  fn: Fn | undefined;
  /** Whether that may have changed: nothing starts before the registry has said it again. */
  stale: boolean;
  /** Set while the registry is asked; settles when nothing is stale any more, or it could not say. Never rejects. */
  resolving: Promise<void> | undefined;
  /** Oldest revision whose instances may take an attempt: all below it are replaced. Infinite while there is no such version. */
  oldest: number;
  /** Whether some of its instances may be of an older revision. */
  isMixed: boolean;
  /** Newest revision whose code package an agent did not find; 0 for none. */
  missingCode: number;
  readonly idle: Instance[];
  readonly instances: Set<Instance>;
  starting: number;
  settling: number;
  /** In order; those taken out are left undefined at the front until compacted. */
  readonly waiting: AttemptQueue;
  /** Smoothed milliseconds an attempt takes an instance; undefined before the first has ended. */
  averageMs: number | undefined;
  /** Instances in a row that came to nothing, and the monotonic time before which no other is started. */
  crashes: number;
  startsAfterMs: number;
  /** Monotonic time of the last progress: an end, or the arrival of the first that waits. */
  lastProgressMs: number;
};

/** A first-in-first-out queue from which any attempt can be taken out. */
export type AttemptQueue = {
  readonly size: number;
  push(attempt: ScheduledAttempt): void;
  /** Puts one back that was taken too early. */
  unshift(attempt: ScheduledAttempt): void;
  /** All of them, in any order; they may be taken out meanwhile. */
  all(): ScheduledAttempt[];
  shift(): ScheduledAttempt | undefined;
  remove(attempt: ScheduledAttempt): boolean;
  /** Takes out those of a queue replica behind the first `kept`, the newest first. */
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
