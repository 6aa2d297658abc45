import type { AttemptReport, AttemptStarted } from '@evenfall/contracts/attempt/v1/attempt';
import type { InstanceChange } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { LogGrant, StoredLogLine } from '@evenfall/contracts/event_store/v1/event_store_service';
import type { ColdStart } from '@evenfall/contracts/v1/event';
import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import type {
  GraceExtension,
  Termination_Cause as Cause,
  Termination_Mode as Mode,
  TerminationChange,
  TerminationPolicy,
  TerminationStep,
} from '@evenfall/contracts/v1/termination';
import type { Said } from '@evenfall/event-model';
import type { Log, Repeats } from '@evenfall/telemetry';
import type { Clock } from '@evenfall/time';
import type { LifeInput, LifeState } from '../domain/instance-life.ts';
import type { LineSplitter } from '../domain/line-splitter.ts';
import type { ResolvedPolicy } from '../domain/termination-plan.ts';
import type {
  ClaimedProcess,
  CodeStore,
  Conversation,
  Conversations,
  InstanceNetwork,
  InstanceProcess,
  Networks,
  ProcessDriver,
  ProcessEvents,
  ProcessSpec,
} from '../ports.ts';

/** Everything the flows work on. */
export type Agent = {
  readonly agentId: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly driver: ProcessDriver;
  readonly code: CodeStore;
  readonly conversations: Conversations;
  readonly ready: ReadyProcesses;
  readonly networks: Networks;
  readonly outbox: Outbox;
  readonly logs: LogShipper;
  readonly deadlines: { set(instance: Instance, dueMs: number): void; drop(instance: Instance): void };
  readonly concluder: { await(instance: Instance): void; readonly turn: number };
  /** Tells an instance what happened; see `drive-instance.ts`. Here, so that every flow can say it and none imports the driver. */
  feed(instance: Instance, input: LifeInput): void;
  readonly instances: Map<string, Instance>;
  /** By `keyOf`. Ended ones stay until they are acknowledged. */
  readonly attempts: Map<string, Attempt>;
  /** Instances whose runtimes could not be talked to, by function: one that fails so does it with every event. */
  readonly broken: Repeats;
  /** Set once the host drains: nothing new is taken, and what becomes idle is stopped. */
  drain: DrainState | undefined;
};

/** How far a drain is. Monotonic. */
export type DrainState = { readonly startMs: number; deadlineMs: number };

/** Processes that were started ahead. */
export type ReadyProcesses = {
  /** One that is now the process of this instance; undefined if none fits, and then it has to be started. Notes that such a one was wanted. */
  claim(spec: ProcessSpec, events: ProcessEvents): Promise<ClaimedProcess | undefined>;
};

/** What goes to the scheduler: collected, and sent once per turn of the event loop. */
export type Outbox = {
  report(report: AttemptReport): void;
  change(change: InstanceChange): void;
  /** Says that the host drains, and for how long at most; every hello says it too. */
  draining(leftMs: number): void;
  /** Sends now what was collected. */
  flush(): void;
};

/** What goes to the event store. */
export type LogShipper = {
  /** Takes a line, with the grant of what it is of; returns its ordinal among all lines. */
  push(line: StoredLogLine, grant: LogGrant): number;
  /** Calls back once everything up to the ordinal is stored, or after a second. */
  whenStored(ordinal: number, done: () => void): void;
};

/** One instance and what is around it. Changed in place: it is touched several times per event. */
export type Instance = {
  readonly id: string;
  readonly fn: FunctionMessage;
  readonly timeoutMs: number;
  life: LifeState;
  /** Whether it ever could take an event. */
  ready: boolean;
  process: InstanceProcess | undefined;
  conversation: Conversation | undefined;
  network: InstanceNetwork | undefined;
  /** Whether the function is loaded; its Initializer may not have run yet. */
  loaded: boolean;
  /** The attempt that was handed to it last, until that is reported. Its runtime may not have taken it yet. */
  current: Attempt | undefined;
  /** An attempt that failed on it: it has answered, and is reported when the instance is gone. */
  failed: Attempt | undefined;
  /** Whether its runtime is free for an event; whether it was reported as not free. */
  isFree: boolean;
  isToldBusy: boolean;
  /** How its process ended, once it has. `endMs` is monotonic. */
  exit: ProcessEnd | undefined;
  /** Attempts for which it is not free yet: it still starts. */
  readonly waiting: Attempt[];
  /** Number of the last frame that wants an answer. */
  seq: number;
  /** Monotonic; Infinity without a deadline. */
  dueMs: number;
  /** When the deadline queue looks at it next; Infinity if it does not. */
  armedMs: number;
  /** When its start was asked for, when its process was started, when its runtime greeted. Monotonic. */
  startMs: number;
  spawnMs: number;
  helloMs: number;
  pulledMs: number;
  /** Whether it was started ahead of any event. */
  readonly ahead: boolean;
  /** Proof that it was asked for. Undefined from a scheduler of an earlier release. */
  readonly grant: Buffer | undefined;
  /** Proof of the same for who gives out its code package and who stores its lines; empty from a scheduler of an earlier release. */
  readonly packageGrant: Buffer;
  /** What its start was made of, until the first attempt takes it along. */
  coldStart: ColdStart | undefined;
  /** Signals with a listener, as its runtime tells; undefined if it does not. */
  handlers: number | undefined;
  /** The hook that runs. */
  hook: RunningHook | undefined;
  /** When its PreStop hook began, monotonic; undefined until then. */
  preStopMs: number | undefined;
  /** Called, instead of concluding an attempt, once what it wrote until now has been read. */
  onSettled: (() => void) | undefined;
  readonly splitters: { readonly stdout: LineSplitter; readonly stderr: LineSplitter };
  /** Lines written while no attempt ran: they belong to the next one. */
  idleLines: IdleLine[];
  /** Turns of the event loop in which it answered and last wrote output. */
  answeredTurn: number;
  outputTurn: number;
  peakBytes: number;
  memoryReadMs: number;
  sweptCount: number;
  /** Whether its runtime has said that its heap is full. */
  isHeapFull: boolean;
  /** What its function was last told about more time. */
  extension: { readonly grantedMs: number; readonly reason: string } | undefined;
};

/** How the leader of an instance's group ended. */
export type ProcessEnd = { readonly exitCode: number | null; readonly signal: string | null; readonly byPlatform: boolean };

export type RunningHook = { readonly requestId: string; readonly end: (ok: boolean, text: string) => void };

export type IdleLine = { readonly stream: 'stdout' | 'stderr' | 'platform' | 'error'; readonly text: string; readonly timeMs: number };

export type Attempt = {
  readonly key: string;
  readonly eventId: string;
  readonly number: number;
  /** Partition of its event; undefined for a synchronous one. */
  readonly partition: number | undefined;
  readonly synchronous: boolean;
  /** Proof that this agent was given it: sent with all that is said of it. Undefined from a scheduler of an earlier release. */
  grant: Buffer | undefined;
  /** The same as it goes with its lines, from the first one on: one object for all, so that a batch has it once. */
  logGrant: LogGrant | undefined;
  payload: Buffer;
  /** WAITING for its instance, or for the runtime of it to take it · RUNNING · REPORTING: over, its last lines are being stored · ENDED: kept until acknowledged. */
  phase: 'WAITING' | 'RUNNING' | 'REPORTING' | 'ENDED';
  instance: Instance | undefined;
  coldStart: ColdStart | undefined;
  /** Whether that start came ahead of any event. */
  ahead: boolean;
  /** Wall clock and monotonic. */
  startTimeMs: number;
  startMs: number;
  /** What is reported of its start, and again with its end: the first report may be lost. Undefined if it never began. */
  started: AttemptStarted | undefined;
  /** Milliseconds; 0 until there is an answer. When that came: wall clock and monotonic. */
  tookMs: number;
  answerTimeMs: number;
  answerMs: number;
  answer: { readonly returned: boolean; readonly statusCode: number; readonly body: Buffer } | undefined;
  stop: StopRecord | undefined;
  /** Lines so far; bytes so far; whether the flood was cut; ordinal of the last one. */
  lineCount: number;
  lineBytes: number;
  cut: boolean;
  lastOrdinal: number;
  /** Synchronous calls only: the platform's first lines, once they are stored, and the function's last ones. */
  head: readonly Said[] | undefined;
  tail: string[] | undefined;
  tailBytes: number;
  /** Whether it was asked back while its runtime had not taken it. */
  isAskedBack: boolean;
  /** Why its instance was removed while its runtime had not taken it, and the signal for that: how it was stopped, should it have been taken all the same. */
  withdrawn: StopRecord | undefined;
  /** The report of its end, once there is one; since when (monotonic); whether it is on disk too. */
  ended: AttemptReport | undefined;
  endedMs: number;
  spooled: boolean;
};

/** What was done to stop an attempt. */
export type StopRecord = {
  /** Why and how, in the end: what somebody asks for counts more than what the platform began, force more than grace. */
  cause: Cause;
  mode: Mode;
  readonly policy: ResolvedPolicy;
  readonly policyMessage: TerminationPolicy;
  readonly steps: TerminationStep[];
  readonly extensions: GraceExtension[];
  readonly changes: TerminationChange[];
  /** The newest request, to know it when it is said again. */
  request: string;
  readonly requestTime: Date;
  /** Monotonic. */
  readonly askedMs: number;
  /** It had ended already when it was asked to stop. */
  readonly tooLate: boolean;
};

/** A report of an attempt, with what proves that it is this agent's to make. */
export function reportOn({ eventId, number, partition, grant }: Attempt, report: AttemptReport['report']): AttemptReport {
  return { eventId, attempt: number, partition, grant, report };
}

/** What is sent with lines of an attempt. */
export function logGrantOf(attempt: Attempt): LogGrant {
  const { eventId, number, partition } = attempt;
  const grant = attempt.grant ?? NO_GRANT;
  if (attempt.logGrant?.grant !== grant) attempt.logGrant = { eventId, attempt: number, partition, codeSha256: undefined, grant };
  return attempt.logGrant;
}

/** From a scheduler of an earlier release. */
export const NO_GRANT = Buffer.alloc(0);

export function keyOf(eventId: string, attempt: number): string {
  return `${eventId}/${attempt}`;
}
