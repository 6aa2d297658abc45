// What the agent holds in memory: its instances and their attempts. Both are changed in place, because an event touches them several times. Each
// mutable field, or the record it is in, names the one file that writes it.
//
// An instance has two state machines' worth of state:
//   life   `domain/life-states` lists its states, `domain/instance-life` has the transitions as a total table. Only `drive-instance` writes it.
//   the records beside it, one per concern: its start, its runtime, its work, its output, its hooks, its memory, its deadline.
// An attempt has one phase at a time, and what belongs to a phase is in that phase alone: `domain/attempt-phase` lists the phases and their
// transitions, which `attempt` asserts.
import type { AttemptReport, AttemptStarted } from '@evenfall/contracts/attempt/v1/attempt';
import type { LogGrant } from '@evenfall/contracts/event_store/v1/event_store_service';
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
import type { FunctionText } from '@evenfall/event-model';
import type { Answer, AttemptOutcome } from '../domain/attempt-outcome.ts';
import type { LifeState } from '../domain/instance-life.ts';
import type { LineSplitter } from '../domain/line-splitter.ts';
import type { ResolvedPolicy } from '../domain/termination-plan.ts';
import type { Conversation, InstanceNetwork, InstanceProcess } from '../ports.ts';

/** One instance of a function version, from the request for its start until nothing of it is left. */
export type Instance = {
  readonly id: string;
  readonly fn: FunctionMessage;
  readonly timeoutMs: number;
  /** Whether it was started ahead of any event. */
  readonly isAhead: boolean;
  /** Proof that the scheduler requested it. Undefined from a scheduler of an earlier release. */
  readonly grant: Buffer | undefined;
  /** The same proof for the registry, which gives out its code package, and the event-store; empty from a scheduler of an earlier release. */
  readonly packageGrant: Buffer;
  /** Written by `drive-instance`. */
  life: LifeState;
  /** Whether it ever could receive an event. Written by `drive-instance`. */
  hasBeenReady: boolean;
  /** Processes that its end had to remove after its leader. Written by `drive-instance`. */
  sweptCount: number;
  readonly start: InstanceStart;
  readonly runtime: InstanceRuntime;
  readonly work: InstanceWork;
  readonly output: InstanceOutput;
  readonly hooks: InstanceHooks;
  readonly memory: InstanceMemory;
  readonly deadline: InstanceDeadline;
};

/** How far its start is. Times are monotonic. Written by `start-instance`. */
export type InstanceStart = {
  readonly requestMs: number;
  /** How long its code package took to pull. */
  pulledMs: number;
  /** When its process was started, and when its runtime greeted; 0 until then. */
  spawnMs: number;
  greetMs: number;
  /** Whether the function is loaded. Its Initializer may not have run yet. */
  isLoaded: boolean;
  /** What the start was made of, once it is complete. */
  coldStart: ColdStart | undefined;
};

/** Its network, its process, and how the agent talks to its runtime. Written by `start-instance`, `handlers` by `receive-runtime-events`. */
export type InstanceRuntime = {
  network: InstanceNetwork | undefined;
  conversation: Conversation | undefined;
  process: InstanceProcess | undefined;
  /** How its process ended, once it has. */
  exit: ProcessEnd | undefined;
  /** Signals with a listener, as its runtime reports them; undefined if it does not. */
  handlers: number | undefined;
};

/** Which attempts it has. Written by `instance-work`. */
export type InstanceWork = {
  /** The attempt that was handed over last, until that is reported. Its runtime may not have received it yet. */
  current: Attempt | undefined;
  /** An attempt that failed on it: it has answered, and is reported when the instance is gone. */
  failed: Attempt | undefined;
  /** Attempts for which it is not free yet, in order. */
  readonly waiting: Attempt[];
  /** Whether its runtime is free for an event. */
  isFree: boolean;
  /** Whether the scheduler has been informed that it is not free. */
  isReportedBusy: boolean;
  /** Whether an attempt has begun on it: the first one reports the cold start. */
  hasBegunOne: boolean;
  /** Number of the last call that expects an answer of its runtime. */
  callSeq: number;
};

/** What it writes. Written by `collect-output`. */
export type InstanceOutput = {
  readonly splitters: { readonly stdout: LineSplitter; readonly stderr: LineSplitter };
  /** Lines written while no attempt ran: they belong to the next one. */
  idleLines: IdleLine[];
  /** Bytes of these lines, and whether further ones are dropped. */
  idleBytes: number;
  isIdleCut: boolean;
  /** Turn of the event loop in which it wrote last. */
  lastTurn: number;
  /** Whether its runtime has reported that its heap is full. */
  isHeapFull: boolean;
};

/** Written by `run-hooks`. */
export type InstanceHooks = {
  /** The hook that runs. */
  running: RunningHook | undefined;
  /** When its PreStop hook began, monotonic; undefined until then. */
  preStopMs: number | undefined;
};

/** Written by `measure-memory`. */
export type InstanceMemory = {
  peakBytes: number;
  /** When it was measured after an event last, monotonic. */
  readMs: number;
};

/** Written by `loops/deadlines`. Monotonic. */
export type InstanceDeadline = {
  /** Infinity without a deadline. */
  dueMs: number;
  /** When the deadline queue looks at it next; Infinity if it does not. */
  queuedMs: number;
};

/** How the leader of an instance's process group ended. */
export type ProcessEnd = { readonly exitCode: number | null; readonly signal: string | null; readonly byPlatform: boolean };

/** `isEnding`: its runtime has answered, and what the hook wrote before is being read. */
export type RunningHook = { readonly requestId: string; isEnding: boolean; readonly end: (ok: boolean, text: string) => void };

export type IdleLine = { readonly stream: 'stdout' | 'stderr' | 'platform' | 'error'; readonly text: string; readonly timeMs: number };

/** One attempt of an event, or one synchronous call, from its assignment until the scheduler acknowledges its end. */
export type Attempt = {
  readonly key: string;
  readonly eventId: string;
  /** Number of the attempt. */
  readonly attempt: number;
  /** Partition of its event; undefined for a synchronous one. */
  readonly partition: number | undefined;
  readonly synchronous: boolean;
  /** Proof that it was assigned to this agent: sent with all that is reported of it. Undefined from a scheduler of an earlier release. Written by `run-attempt`. */
  grant: Buffer | undefined;
  readonly log: AttemptLog;
  /** Written by `attempt`. */
  phase: AttemptPhase;
};

export type AttemptPhase = WaitingPhase | HandedOverPhase | RunningPhase | ReportingPhase | EndedPhase;

export type WaitingPhase = {
  readonly kind: 'WAITING';
  readonly payload: Buffer;
  readonly instance: Instance | undefined;
};

export type HandedOverPhase = {
  readonly kind: 'HANDED_OVER';
  readonly instance: Instance;
  /** Whether the scheduler recalled it. Written by `stop-attempt`. */
  isRecalled: boolean;
  /** Why its instance is being removed, and the signal for that: how it was stopped, should it have begun all the same. Written by `begin-stop`. */
  withdrawal: StopRecord | undefined;
};

export type RunningPhase = {
  readonly kind: 'RUNNING';
  readonly instance: Instance;
  readonly start: AttemptStart;
  /** Whether its instance was being removed before the agent read that it had begun. */
  readonly wasWithdrawn: boolean;
  /** Written by `run-attempt`, once. */
  answer: AttemptAnswer | undefined;
  /** Written by `begin-stop`. */
  stop: StopRecord | undefined;
};

export type ReportingPhase = {
  readonly kind: 'REPORTING';
  readonly instance: Instance | undefined;
  /** Undefined if it never began. */
  readonly start: AttemptStart | undefined;
  readonly answer: AttemptAnswer | undefined;
  readonly outcome: AttemptOutcome;
  /** Error of the runtime, JSON text. */
  readonly error: Buffer | undefined;
  /** Wall clock and monotonic. */
  readonly endTime: Date;
  readonly endMs: number;
  /** Written by `begin-stop`: a stop may be requested while it is being reported. */
  stop: StopRecord | undefined;
};

export type EndedPhase = {
  readonly kind: 'ENDED';
  /** Repeated until it is acknowledged. Written by `stop-attempt`, which adds the receipt of a stop that came too late. */
  report: AttemptReport;
  /** Monotonic. */
  readonly endMs: number;
  /** Whether it is on disk too. Written by `loops/spool-outcomes`. */
  isSpooled: boolean;
};

/** How an attempt began. */
export type AttemptStart = {
  /** Wall clock and monotonic. */
  readonly timeMs: number;
  readonly ms: number;
  readonly coldStart: ColdStart | undefined;
  /** Whether that cold start came ahead of any event. */
  readonly isAhead: boolean;
  /** What is reported of it, and again with the end: the first report may be lost. */
  readonly message: AttemptStarted;
};

/** What the function answered, and when: wall clock and monotonic. `tookMs` is how long it ran. */
export type AttemptAnswer = Answer & { readonly body: Buffer; readonly tookMs: number; readonly timeMs: number; readonly ms: number };

/** The log lines of an attempt. Written by `attempt-lines`, except where a field names another file. */
export type AttemptLog = {
  /** Lines so far, and the ordinal of the last one among all lines of the agent. */
  lineCount: number;
  lastOrdinal: number;
  /** Its grant as it goes with its lines: one object for all, so that a batch has it once. */
  grant: LogGrant | undefined;
  /** Bytes so far, and whether the rest of a flood is dropped. Written by `collect-output`. */
  bytes: number;
  isCut: boolean;
  /** Synchronous calls only: the platform's first lines, once they are stored. Written by `call-log`. */
  head: readonly FunctionText[] | undefined;
  /** Synchronous calls only: the function's last lines. Written by `collect-output`. */
  readonly tail: string[] | undefined;
  tailBytes: number;
};

/** What was done to stop an attempt. Written by `begin-stop`; `steps` by `send-signal` and `kill-group`, `extensions` by `extend-grace`. */
export type StopRecord = {
  /** Why and how, in the end: a caller's request counts more than what the platform began, force more than grace. */
  cause: Cause;
  mode: Mode;
  readonly policy: ResolvedPolicy;
  readonly policyMessage: TerminationPolicy;
  readonly steps: TerminationStep[];
  readonly extensions: GraceExtension[];
  readonly changes: TerminationChange[];
  /** The newest request, to recognise its repetition. */
  request: string;
  readonly requestTime: Date;
  /** Monotonic. */
  readonly requestMs: number;
  /** Whether it had ended before the stop was requested. */
  readonly isTooLate: boolean;
};
