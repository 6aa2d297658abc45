import type { AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import type {
  AttachRequest,
  AttachResponse,
  Drain,
  Heartbeat,
  Hello,
  InstanceChange,
  SchedulerServiceService,
} from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { isRefusal } from '@evenfall/errors';
import { inParts, MESSAGE_BYTES, reportBytes } from '@evenfall/event-model';
import { type ClientOf, pushable, type Pushable } from '@evenfall/rpc';
import type { Log } from '@evenfall/telemetry';
import { type Clock, createBackoff, delay, durationOfMs, msOfDuration } from '@evenfall/time';
import type { Outbox } from '../flows/agent.ts';
import type { LeaseThread } from './lease-thread.ts';

/** What the loop needs of the agent. */
export type AttachHooks = {
  /** Renews the lease beside the stream. */
  readonly thread?: LeaseThread | undefined;
  /** Whether the scheduler is in this process: then one cannot go on while the other is suspended. */
  readonly sharesProcess: boolean;
  hello(): Hello;
  /** How long the drain of the host may still last; undefined if it does not drain. */
  drainLeftMs(): number | undefined;
  /** Repeats what a scheduler may not know: readiness, starts, outcomes. */
  repeat(outbox: Outbox): void;
  receive(response: AttachResponse): void;
  /** The lease ran out: whatever runs must not run any longer. */
  leaseLost(): void;
};

export type Attachment = Outbox & {
  /** Keeps the stream open until the signal. */
  run(signal: AbortSignal): Promise<void>;
  /** Looks at the lease; called every quarter of a second or so. */
  checkLease(): void;
  /** Whether a scheduler has welcomed this agent and not gone away since. */
  isAttached(): boolean;
  /** Reports to the scheduler how busy the host is, if that has changed. */
  reportLoad(cpuBusy: number, temporaryMb: number): void;
};

const RECONNECT = { firstMs: 100, mostMs: 1_000 };
/** Between two hellos that are refused for their content. */
const REFUSED_PAUSE_MS = 60_000;

/** Smaller changes of the load are not worth a message. */
const LOAD_STEP = 0.05;
const drainOf = (leftMs: number): Drain => ({ deadline: durationOfMs(Math.max(0, leftMs)) });
const DEFAULT_LEASE_MS = 30_000;
const DEFAULT_HEARTBEAT_MS = 5_000;

/**
 * Holds the stream to the scheduler: hello, heartbeats, batches both ways, and the lease. The lease runs from when the last heartbeat that
 * was echoed had been sent, by this host's monotonic clock: never longer than the scheduler's own view of it.
 */
export function attachment(
  scheduler: ClientOf<typeof SchedulerServiceService>,
  clock: Clock,
  log: Log,
  random: () => number,
  hooks: AttachHooks,
): Attachment {
  let requests: Pushable<AttachRequest> | undefined;
  let reports: AttemptReport[] = [];
  let changes: InstanceChange[] = [];
  let drain: Drain | undefined;
  let scheduled = false;
  let leaseMs = DEFAULT_LEASE_MS;
  let heartbeatMs = DEFAULT_HEARTBEAT_MS;
  let renewedMs = clock.monotonic();
  let checkedMs = renewedMs;
  let hasLease = false; // whether there is a lease to lose
  let beats: { readonly wallMs: number; readonly sentMs: number }[] = [];
  let beatTimer: NodeJS.Timeout | undefined;
  let reportedCpuBusy = 0;
  let reportedTemporaryMb = 0;
  let isAttached = false;
  let welcomed = 0;
  const backoff = createBackoff(RECONNECT);
  let endStream = (): void => undefined;

  const push = (hello: Hello | undefined, heartbeat: Heartbeat | undefined): void => {
    const load = hello ? { cpuBusy: reportedCpuBusy, temporaryMb: reportedTemporaryMb } : { cpuBusy: undefined, temporaryMb: undefined };
    const batch = { hello, heartbeat, reports, instanceChanges: changes, ...load, drain };
    reports = [];
    changes = [];
    drain = undefined;
    requests?.push(batch); // away: outcomes are kept by the attempts and repeated after the next hello
  };
  const flush = (): void => {
    scheduled = false;
    // Outcomes may be large, and many are repeated after a hello: full messages are sent first, the rest after them.
    const parts = inParts(reports, reportBytes, MESSAGE_BYTES);
    for (const part of parts.slice(0, -1)) {
      requests?.push({
        hello: undefined,
        heartbeat: undefined,
        reports: [...part],
        instanceChanges: [],
        cpuBusy: undefined,
        temporaryMb: undefined,
        drain: undefined,
      });
    }
    if (parts.length > 1) reports = [...(parts[parts.length - 1] ?? [])];
    if (reports.length > 0 || changes.length > 0 || drain) push(undefined, undefined);
  };
  const schedule = (): void => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(flush);
  };
  const outbox: Outbox = {
    report(report) {
      if (!requests) return;
      reports.push(report);
      if (!scheduled) schedule();
    },
    change(change) {
      if (!requests) return;
      changes.push(change);
      if (!scheduled) schedule();
    },
    draining(leftMs) {
      if (!requests) return; // the next hello reports it
      drain = drainOf(leftMs);
      if (!scheduled) schedule();
    },
    flush,
  };
  const beat = (): void => {
    const wallMs = clock.now();
    beats.push({ wallMs, sentMs: clock.monotonic() });
    if (beats.length > 100) beats.shift();
    flush();
    push(undefined, { sentTime: new Date(wallMs) });
  };
  const renew = (sentMs: number): void => {
    renewedMs = Math.max(renewedMs, sentMs);
    hasLease = true;
    hooks.thread?.renewed(clock.monotonic() - renewedMs, leaseMs, heartbeatMs);
  };
  const onEcho = (heartbeat: Heartbeat): void => {
    const wallMs = heartbeat.sentTime?.getTime();
    const at = beats.findIndex((each) => each.wallMs === wallMs);
    if (at < 0) return;
    const beaten = beats[at];
    if (beaten) renew(beaten.sentMs);
    beats = beats.slice(at + 1);
  };

  const checkLease = (): void => {
    const nowMs = clock.monotonic();
    // Both were suspended, and the scheduler ends no lease for that: it begins the lease anew when it goes on.
    if (hooks.sharesProcess && nowMs - checkedMs > leaseMs / 3) renewedMs = nowMs;
    checkedMs = nowMs;
    hooks.thread?.tick();
    if (hasLease && hooks.thread) renewedMs = Math.max(renewedMs, nowMs - hooks.thread.renewedAgoMs());
    if (!hasLease || clock.monotonic() - renewedMs <= leaseMs) return;
    hasLease = false;
    hooks.thread?.lost();
    log.warn('The lease ran out; everything that runs is killed', { lease_ms: leaseMs });
    hooks.leaseLost();
    endStream(); // what it brings relies on the lease: a new hello reports what is left
  };

  const attachOnce = async (signal: AbortSignal): Promise<void> => {
    checkLease(); // a host that was suspended for long must not accept what another agent may run by now
    const mine = pushable<AttachRequest>();
    const ended = new AbortController();
    endStream = () => ended.abort(new Error('the lease ran out'));
    const helloMs = clock.monotonic();
    requests = mine;
    reports = [];
    changes = [];
    beats = [];
    const leftMs = hooks.drainLeftMs();
    drain = leftMs === undefined ? undefined : drainOf(leftMs);
    push(hooks.hello(), undefined);
    // A hello that is received late begins a lease that is over early: a new one is better.
    const unwelcome = setTimeout(() => ended.abort(new Error('the scheduler gave no welcome')), leaseMs / 3);
    try {
      for await (const response of scheduler.attach(mine, { signal: AbortSignal.any([signal, ended.signal]) })) {
        checkLease();
        ended.signal.throwIfAborted();
        if (response.welcome) {
          leaseMs = msOfDuration(response.welcome.lease) ?? DEFAULT_LEASE_MS;
          heartbeatMs = msOfDuration(response.welcome.heartbeatInterval) ?? DEFAULT_HEARTBEAT_MS;
          renew(helloMs);
          isAttached = true;
          welcomed += 1;
          backoff.reset();
          clearTimeout(unwelcome);
          clearInterval(beatTimer);
          beatTimer = setInterval(beat, heartbeatMs);
          log.info('Attached to the scheduler', { lease_ms: leaseMs });
          hooks.repeat(outbox);
        }
        if (response.heartbeat) onEcho(response.heartbeat);
        hooks.receive(response);
      }
    } catch (error) {
      ended.signal.throwIfAborted(); // with the reason why it was cancelled
      throw error;
    } finally {
      isAttached = false;
      clearTimeout(unwelcome);
      clearInterval(beatTimer);
      if (requests === mine) requests = undefined;
      mine.end();
    }
  };

  return {
    ...outbox,
    async run(signal) {
      let isLogged = false; // a scheduler that is away for long is worth one line
      while (!signal.aborted) {
        const welcomes = welcomed;
        let why = 'the scheduler ended the stream';
        let isRefused = false;
        try {
          await attachOnce(signal);
        } catch (error) {
          why = error instanceof Error ? error.message : String(error);
          isRefused = isRefusal(error) && error.status === 'INVALID_ARGUMENT';
        }
        if (signal.aborted) return;
        if (isRefused) {
          // The same hello is refused the next time too: the settings of this host, or one of the two programs, have to change first.
          log.error('The scheduler refuses this agent; it tries again rarely', undefined, { reason: why, pause_ms: REFUSED_PAUSE_MS });
          isLogged = false;
          if (!(await delay(REFUSED_PAUSE_MS * (0.5 + random()), signal))) return;
          continue;
        }
        if (welcomed > welcomes || !isLogged) log.warn('The stream to the scheduler broke; trying again', { error: why });
        isLogged = true;
        // Jitter: a scheduler that comes back is not met by all agents at once.
        if (!(await delay(backoff.next() * (0.5 + random()), signal))) return;
      }
    },
    isAttached: () => isAttached,
    reportLoad(cpuBusy, temporaryMb) {
      if (Math.abs(cpuBusy - reportedCpuBusy) < LOAD_STEP && temporaryMb === reportedTemporaryMb) return;
      [reportedCpuBusy, reportedTemporaryMb] = [cpuBusy, temporaryMb];
      requests?.push({ hello: undefined, heartbeat: undefined, reports: [], instanceChanges: [], cpuBusy, temporaryMb, drain: undefined });
    },
    checkLease,
  };
}
