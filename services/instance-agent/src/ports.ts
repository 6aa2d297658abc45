import type { AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import type { LogGrant, StoredLogLine } from '@evenfall/contracts/event_store/v1/event_store_service';
import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import type { Server, Socket } from 'node:net';
import type { SignalScope, TerminationStep_Delivery as Delivery } from '@evenfall/contracts/v1/termination';
import type { Ability } from './domain/ability.ts';
import type { OUT_OF_SIGHT, ProcStatus } from './domain/disposition.ts';
import type { ReadyKind } from './domain/ready-pool.ts';
import type { StartFault } from './domain/instance-life.ts';

/** Where one instance listens and is talked to: the host's network, or one of its own. */
export type InstanceNetwork = {
  /**
   * Whether what the agent serves in it needs a secret of the instance: others use it too, and the kernel cannot distinguish them from the instance.
   */
  readonly needsSecret: boolean;
  /** Where its processes start; undefined for the network of this process. */
  readonly place: NetworkPlace | undefined;
  /** What its processes are to see as `/etc/resolv.conf`; undefined for the host's. */
  readonly resolvConf: string | undefined;
  /** Claims a port of it, the wanted one if it is neither claimed nor listened on. Claimed until it is released. */
  claimPort(wanted: number | undefined): Promise<number>;
  releasePort(port: number): void;
  /** Connects to a port of its loopback; calls back with the socket or the error, later and once. Returns what cancels it: no callback comes after that. */
  connect(port: number, done: (result: Socket | Error) => void): () => void;
  /** Has a server of the agent's listen on any port of its loopback, and answers which. */
  listen(server: Server): Promise<number>;
  /**
   * Whether a connection is with a process of the instance, which has that user for itself; all are, where there is no such user. Of one that was
   * made to a port, that port's listener is checked too: the present listener need not be the one that accepted the connection.
   */
  isWith(socket: Socket, uid: number | undefined, port?: number): boolean;
  /** Releases it. It is gone when the last process in it is. */
  close(): void;
};

/** A network namespace, by descriptors of this process: its own, and where an ordinary user has made it that of the user namespace it is of. */
export type NetworkPlace = { readonly fd: number; readonly ownerFd: number | undefined };

export type Networks = {
  /** What instances have, for people. */
  readonly abilities: readonly Ability[];
  /** Opens one for an instance; or answers why that is not possible. */
  open(): Promise<InstanceNetwork | StartFault>;
  /** Releases what is kept ready; no instance is left. */
  close(): Promise<void>;
};

/** What an instance's process is started from. */
export type ProcessSpec = {
  readonly instanceId: string;
  readonly fn: FunctionMessage;
  readonly codeDir: string;
  /** Variables with the addresses the runtime must use. */
  readonly variables: RuntimeVariables;
  readonly network: InstanceNetwork;
};

/** What a process reports. */
export type ProcessEvents = {
  /** Bytes of its channel, file descriptor 3; a view that may be kept. */
  onChannel(chunk: Buffer): void;
  onOutput(stream: 'stdout' | 'stderr', chunk: Buffer): void;
  /** It has gone; `spawnFault` explains why it never started. */
  onExit(exitCode: number | null, signal: string | null, spawnFault: string | undefined): void;
};

/** Writes to the channel of a runtime. `done` is called once the kernel has all of it. */
export type ChannelWrite = (bytes: Buffer, done?: () => void) => void;

/** `detail` is for people; without one it was memory. */
export type Excess = { readonly detail?: string };

/** One process group. */
export type InstanceProcess = {
  /** User it runs as; undefined if it shares the agent's. */
  readonly uid: number | undefined;
  readonly write: ChannelWrite;
  /** How it is made sure that nothing of it is left. */
  containment(): 'PID_NAMESPACE' | 'CGROUP' | 'USER' | 'MARKERS';
  /** Sends a signal by its number; a stopped process is continued first. What is sent into a sandbox is known a moment later. */
  signal(signal: number, scope: SignalScope): Delivery | Promise<Delivery>;
  killGroup(): void;
  /** Whether other processes of its group live. False where all of them go with the leader. */
  isGroupLeft(): boolean;
  /** Resolves when none is left, or nothing is looked at any more. */
  groupEnded(): Promise<void>;
  /** Signals that every thread of the leader blocks. */
  blockedByAll(): bigint;
  /** Whether the leader has received a signal that was just sent to it and that it blocked or not, as it shows within 50 ms; GONE if it has ended by then. */
  reception(signal: number, isBlocked: boolean): Promise<'TAKEN' | 'PENDING' | 'GONE'>;
  /** undefined once it has gone. */
  status(): ProcStatus | typeof OUT_OF_SIGHT | undefined;
  /** Of all its processes. */
  residentBytes(): number;
  /** The most that the function's own process has had; 0 once it has gone. */
  peakBytes(): number;
  /** What it used too much of, where the kernel or its launcher has ended something of it for that; undefined if nothing was. */
  excess(): Excess | undefined;
  /**
   * Memory that is held beside its processes: by temporary files, where its mounts are in memory, and by its sandbox. 0 where the kernel does not
   * count that.
   */
  filesBytes(): Promise<number>;
  /** Where its temporary files are; undefined where its mounts bound them. */
  readonly temporary: { readonly folder: string; readonly uid: number | undefined } | undefined;
  /** Removes whatever outlived the leader, reads its output to the end, and releases everything; returns how many processes it removed. */
  sweep(): Promise<number>;
};

/** A process that was started before its instance was known. */
export type ReadyProcess = {
  readonly id: string;
  readonly kind: ReadyKind;
  isUp(): boolean;
  /** Makes it the process of an instance; undefined if it has gone or does not answer within half a second, and then it is ended. Once only. */
  become(spec: ProcessSpec, events: ProcessEvents): Promise<ClaimedProcess | undefined>;
  /** Kills it, and resolves when nothing of it is left. */
  end(): Promise<void>;
};

export type ClaimedProcess = {
  readonly process: InstanceProcess;
  /** The one it was born in; the instance's from here on, to be closed with it. */
  readonly network: InstanceNetwork;
  /** Passes on the events that were kept until now: its greeting is the first. */
  begin(): void;
  /** Where the instance has ended meanwhile. */
  end(): Promise<void>;
};

/** Where temporary files of an instance are: its own folder, and whatever is its user's in the folders that all share. */
export type TemporaryPlace = { readonly folder: string; readonly uid: number | undefined; readonly mostBytes: number };
export type TemporaryUse = { readonly bytes: number; readonly hasTooMany: boolean };

export type ProcessDriver = {
  /** What this host can do to keep instances apart. */
  readonly abilities: readonly Ability[];
  /** Starts the process of an instance; or answers why that is not possible: the host has no such runtime, the package no such program. */
  start(spec: ProcessSpec, events: ProcessEvents): InstanceProcess | StartFault;
  /** Finds out whether processes can be started ahead here, adds to `abilities` what it found, and answers that. After the sweep. */
  prepareReady(perKind: number): Promise<boolean>;
  /** Starts one ahead, in a network that it closes unless it is claimed; undefined if that cannot be. */
  startReady(kind: ReadyKind, network: InstanceNetwork, onUp: () => void, onGone: () => void): ReadyProcess | undefined;
  /** Kills what earlier sessions of this agent left; returns how many processes that were. */
  sweepEarlierSessions(): Promise<number>;
  /** Measures what instances have on disk, in the order of `places`. It stops counting one of them where it has more than it may. */
  measureTemporary(places: readonly TemporaryPlace[]): Promise<TemporaryUse[]>;
  /** Lets instances that use little of the processor come before those that use much. Called now and then. */
  shareProcessor(nowMs: number): void;
  /** User ids that are not used again, because a process of their last holder may be left. */
  lostUserIds(): number;
  /** Releases what the host keeps for the agent; no instance is left. */
  close(): void;
};

/** Outcomes on disk. */
export type OutcomeSpool = {
  /** What an earlier session left; what is torn is left out. */
  read(): AttemptReport[];
  /** Adds some; `kept` are those added before that are still wanted. Answers false if it is full. Throws errors of the disk. */
  append(reports: readonly AttemptReport[], kept: () => readonly AttemptReport[]): boolean;
  /** Nothing of it is wanted any more. */
  clear(): void;
};

/** Unpacked code packages. */
export type CodeStore = {
  /** The folder of the package of an instance, which shows its grant for it; `pulledMs` is 0 if it was there already. */
  folderOf(
    codeSha256: string,
    of: { readonly instanceId: string; readonly grant: Buffer },
  ): Promise<{ readonly folder: string; readonly pulledMs: number }>;
};

/** Variables of one way to talk: what the function may set otherwise, and what it may not. */
export type RuntimeVariables = {
  readonly defaults: Readonly<Record<string, string>>;
  readonly fixed: Readonly<Record<string, string>>;
};

/** An event as a runtime gets it. */
export type Invocation = {
  /** Names the answer that is waited for. */
  readonly seq: number;
  readonly requestId: string;
  /** JSON text. */
  readonly payload: Buffer;
  /** When its time is over, in milliseconds since 1970. */
  readonly deadlineTimeMs: number;
};

export type HookKind = 'INITIALIZER' | 'PRE_STOP';
export type HookCall = { readonly seq: number; readonly kind: HookKind; readonly handler: string; readonly requestId: string } & Pick<
  Invocation,
  'deadlineTimeMs'
>;

/** What a runtime reports. The listener drops answers to a call that does not run. */
export type ConversationEvents = {
  /** It is up; `handlersKnown`: from here on it reports which signals the function listens to. */
  onGreeted(handlersKnown: boolean): void;
  /** The function can receive its first call. */
  onLoaded(): void;
  onLoadFailed(fault: StartFault): void;
  /** The function returned: JSON text, and how long it took by the runtime's own clock (Infinity if it does not report that). */
  onAnswered(seq: number, body: Buffer, tookMs: number): void;
  onFailed(seq: number, failure: RuntimeFailure): void;
  /** The runtime has received the event that it was given: it starts now. Only where `invoke` did not answer true. */
  onReceived(seq: number): void;
  /** It is free for the next one. */
  onFree(): void;
  /** It was requested to exit, and has finished its work. */
  onFinished(): void;
  /** Signals with a listener, as bits. */
  onHandlers(signals: number): void;
  onHookEnded(seq: number, ok: boolean, text: string): void;
  /** The function, which is being stopped, requests so many milliseconds more; answers what it gets, and why that is less. */
  onExtensionRequested(ms: number): { readonly grantedMs: number; readonly reason: string };
  /** It broke the protocol, or stopped talking while it lives; the text explains what happened. */
  onBroken(text: string): void;
};

export type RuntimeFailure = {
  readonly statusCode: number;
  /** JSON text. */
  readonly error: Buffer;
  readonly tookMs: number;
  /** Whether the runtime reports that it must not be used again. */
  readonly mustExit: boolean;
};

/** How one talks to the runtime of one instance. Every call of `invoke` or `hook` is answered by at most one event. */
export type Conversation = {
  readonly variables: RuntimeVariables;
  /** Whether the process is the package's own program, not the platform's bootstrap. */
  readonly ofPackage: boolean;
  /** Whether the runtime writes the lines around its hooks itself. */
  readonly logsHooks: boolean;
  /** Why it is not ready when the init timeout is over; undefined where nothing more is known. */
  readonly lateFault: StartFault | undefined;
  /** The process has been started; `write` is its channel, `uid` the user it runs as, if that is its own. */
  greet(write: ChannelWrite, uid: number | undefined): void;
  /** Bytes of its channel. */
  onChannel(chunk: Buffer): void;
  /** Lets it load the function; it has greeted. */
  load(): void;
  /** Gives it an event. Answers whether it receives it at once; else `onReceived` reports when it does. */
  invoke(invocation: Invocation): boolean;
  hook(call: HookCall): void;
  /** Has it exit, after its last answer. */
  leave(): void;
  /** Releases everything; it reports nothing after that. */
  close(): void;
};

export type ConversationSpec = {
  readonly instanceId: string;
  readonly fn: FunctionMessage;
  readonly codeDir: string;
  readonly timeoutMs: number;
  readonly initTimeoutMs: number;
  readonly network: InstanceNetwork;
};

export type Conversations = {
  /** Begins to listen, if this kind of runtime wants that; its process is not there yet. */
  open(spec: ConversationSpec, events: ConversationEvents): Promise<Conversation>;
};

/** Log lines that wait on disk for an event-store that is away. */
export type LogSpool = {
  /** Batches there are. */
  readonly size: number;
  /** Keeps a batch, with the grants of what its lines are of; false if there is no room for it. */
  put(batch: LogBatch): Promise<boolean>;
  /** The batch that has waited longest, and how to remove it; `lostCount` of its lines could not be read back. */
  oldest(): Promise<(LogBatch & { readonly lostCount: number; remove(): Promise<void> }) | undefined>;
};

/** Lines that go together, and a grant for each attempt or instance that they are of. */
export type LogBatch = { readonly lines: StoredLogLine[]; readonly grants: LogGrant[] };

/** Where the certificate is kept, and how a new one is requested. */
export type OwnIdentity = {
  /** When the one that is kept was issued, and when it runs out. */
  kept(): { readonly issuedMs: number; readonly expiresMs: number } | undefined;
  /** A new key and a request to have it certified. */
  newRequest(): Promise<{ readonly request: string; readonly key: string }>;
  keep(renewed: { readonly certificate: string; readonly key: string; readonly ca: string }): void;
};
