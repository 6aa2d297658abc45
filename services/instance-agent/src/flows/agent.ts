import type { AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import type { InstanceChange } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { LogGrant, StoredLogLine } from '@evenfall/contracts/event_store/v1/event_store_service';
import type { Log, Repeats } from '@evenfall/telemetry';
import type { Clock } from '@evenfall/time';
import type { LifeEffect, LifeInput } from '../domain/instance-life.ts';
import type { ClaimedProcess, CodeStore, Conversations, Networks, ProcessDriver, ProcessEvents, ProcessSpec } from '../ports.ts';
import type { Attempt, Instance } from './types.ts';

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
  readonly outputReader: OutputReader;
  /**
   * Advances the life of an instance by an input, performs the effects, and answers them; see `drive-instance`. It is here so that every flow can
   * call it and none imports the driver.
   */
  feed(instance: Instance, input: LifeInput): readonly LifeEffect[];
  readonly instances: Map<string, Instance>;
  /** By `keyOf`. Ended ones stay until they are acknowledged. */
  readonly attempts: Map<string, Attempt>;
  /** Functions whose runtime broke the protocol: one that does so once does it with every event, and is logged once a minute. */
  readonly broken: Repeats;
  /** Set once the host drains: nothing new is accepted, and what becomes idle is stopped. Written by `drain-host`. */
  drain: DrainState | undefined;
};

/** How far a drain is. Monotonic. */
export type DrainState = { readonly startMs: number; deadlineMs: number };

/** Processes that were started ahead. */
export type ReadyProcesses = {
  /** One that is now the process of this instance; undefined if none fits, and then it has to be started. Notes that such a one was requested. */
  claim(spec: ProcessSpec, events: ProcessEvents): Promise<ClaimedProcess | undefined>;
};

/** Waits for output that was written before an answer and is read after it. */
export type OutputReader = {
  /** Calls back once what an instance has written until now has been read. */
  whenRead(instance: Instance, done: () => void): void;
  /** Number of the present turn of the event loop, while any call waits. */
  readonly turn: number;
};

/** What goes to the scheduler: collected, and sent once per turn of the event loop. */
export type Outbox = {
  report(report: AttemptReport): void;
  change(change: InstanceChange): void;
  /** Reports that the host drains, and for how long at most; every hello repeats it. */
  draining(leftMs: number): void;
  /** Sends now what was collected. */
  flush(): void;
};

/** What goes to the event-store. */
export type LogShipper = {
  /** Accepts a line, with the grant of its attempt or instance; returns its ordinal among all lines. */
  push(line: StoredLogLine, grant: LogGrant): number;
  /** Calls back once everything up to the ordinal is stored, or after a second. */
  whenStored(ordinal: number, done: () => void): void;
};
