import type { AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import type { AttachRequest, Drain, Heartbeat, Hello, InstanceChange } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { inParts, MESSAGE_BYTES, reportBytes } from '@evenfall/event-model';
import type { Pushable } from '@evenfall/rpc';
import { durationOfMs } from '@evenfall/time';
import type { Outbox } from '../flows/agent.ts';

/** Smaller changes of the load are not worth a message. */
const LOAD_STEP = 0.05;
const drainOf = (leftMs: number): Drain => ({ deadline: durationOfMs(Math.max(0, leftMs)) });
const EMPTY = {
  hello: undefined,
  heartbeat: undefined,
  reports: [],
  instanceChanges: [],
  cpuBusy: undefined,
  temporaryMb: undefined,
  drain: undefined,
} satisfies AttachRequest;

/** Batches what the agent reports to the scheduler: one message per turn of the event loop. Without a stream nothing is kept. */
export type BatchSender = Outbox & {
  /** Sends into a stream from now on, beginning with a hello; `drainLeftMs` as in the next batch. */
  open(stream: Pushable<AttachRequest>, hello: Hello, drainLeftMs: number | undefined): void;
  /** Stops sending into a stream, unless another one has replaced it. */
  close(stream: Pushable<AttachRequest>): void;
  beat(heartbeat: Heartbeat): void;
  /** Reports how busy the host is, if that has changed. */
  reportLoad(cpuBusy: number, temporaryMb: number): void;
};

export function createBatchSender(): BatchSender {
  let requests: Pushable<AttachRequest> | undefined;
  let reports: AttemptReport[] = [];
  let changes: InstanceChange[] = [];
  let drain: Drain | undefined;
  let isScheduled = false;
  let load = { cpuBusy: 0, temporaryMb: 0 };

  const push = (more: Partial<AttachRequest>): void => {
    const batch = { ...EMPTY, reports, instanceChanges: changes, drain, ...more };
    reports = [];
    changes = [];
    drain = undefined;
    requests?.push(batch); // without a stream: outcomes are kept by the attempts and repeated after the next hello
  };
  const flush = (): void => {
    isScheduled = false;
    // Outcomes may be large, and many are repeated after a hello: full messages are sent first, the rest after them.
    const parts = inParts(reports, reportBytes, MESSAGE_BYTES);
    for (const part of parts.slice(0, -1)) requests?.push({ ...EMPTY, reports: [...part] });
    if (parts.length > 1) reports = [...(parts[parts.length - 1] ?? [])];
    if (reports.length > 0 || changes.length > 0 || drain) push({});
  };
  const schedule = (): void => {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(flush);
  };
  return {
    report(report) {
      if (!requests) return;
      reports.push(report);
      schedule();
    },
    change(change) {
      if (!requests) return;
      changes.push(change);
      schedule();
    },
    draining(leftMs) {
      if (!requests) return; // the next hello reports it
      drain = drainOf(leftMs);
      schedule();
    },
    flush,
    open(stream, hello, leftMs) {
      requests = stream;
      reports = [];
      changes = [];
      drain = leftMs === undefined ? undefined : drainOf(leftMs);
      push({ hello, ...load });
    },
    close(stream) {
      if (requests === stream) requests = undefined;
    },
    beat(heartbeat) {
      flush();
      push({ heartbeat });
    },
    reportLoad(cpuBusy, temporaryMb) {
      if (Math.abs(cpuBusy - load.cpuBusy) < LOAD_STEP && temporaryMb === load.temporaryMb) return;
      load = { cpuBusy, temporaryMb };
      requests?.push({ ...EMPTY, ...load });
    },
  };
}
