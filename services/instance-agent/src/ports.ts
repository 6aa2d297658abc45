import type { AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import type { SignalScope, TerminationStep_Delivery as Delivery } from '@evenfall/contracts/v1/termination';
import type { ProcStatus } from './domain/disposition.ts';

/** What an instance's process is started from. */
export type ProcessSpec = { readonly instanceId: string; readonly fn: FunctionMessage; readonly codeDir: string };

/** What a process tells. */
export type ProcessEvents = {
  /** A frame of its channel; the body is a view that may be kept. */
  onFrame(kind: number, body: Buffer): void;
  onOutput(stream: 'stdout' | 'stderr', chunk: Buffer): void;
  /** It wrote something else than frames to its channel. */
  onGarbage(): void;
  /** It has gone; `spawnFault` says in words why it never was. */
  onExit(exitCode: number | null, signal: string | null, spawnFault: string | undefined): void;
};

/** One process group. */
export type InstanceProcess = {
  /** Of the leader. */
  readonly pid: number;
  /** Resolves once nothing it starts can escape the sweep: no code of the function's may run before. undefined if it can be loaded at once. */
  readonly contained: Promise<void> | undefined;
  write(bytes: Buffer): void;
  /** How it is made sure that nothing of it is left. */
  containment(): 'PID_NAMESPACE' | 'CGROUP' | 'MARKERS';
  /** Sends a signal by its number; a stopped process is continued first. */
  signal(signal: number, scope: SignalScope): Delivery;
  killGroup(): void;
  /** undefined once it has gone. */
  status(): ProcStatus | undefined;
  residentBytes(): number;
  /** Removes whatever outlived the leader, reads its output to the end, and lets go of everything; returns how many processes that took. */
  sweep(): Promise<number>;
};

export type ProcessDriver = {
  /** undefined if this host has no such runtime. */
  start(spec: ProcessSpec, events: ProcessEvents): InstanceProcess | undefined;
  /** Kills what earlier sessions of this agent left; returns how many processes that took. */
  sweepEarlierSessions(): Promise<number>;
  /** Lets go of what the host keeps for the agent; no instance is left. */
  close(): void;
};

/** Outcomes on disk. */
export type OutcomeSpool = {
  /** What an earlier session left; what is torn is left out. */
  read(): AttemptReport[];
  /** Adds some; `kept` are those added before that are still wanted. Answers false if it is full. Throws what the disk says. */
  append(reports: readonly AttemptReport[], kept: () => readonly AttemptReport[]): boolean;
  /** Nothing of it is wanted any more. */
  clear(): void;
};

/** Unpacked code packages. */
export type CodeStore = {
  /** The folder of a package; `pulledMs` is 0 if it was there already. */
  folderOf(codeSha256: string): Promise<{ readonly folder: string; readonly pulledMs: number }>;
};
