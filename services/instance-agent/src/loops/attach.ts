import type {
  AttachRequest,
  AttachResponse,
  Hello,
  SchedulerServiceService,
  Welcome,
} from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { isRefusal } from '@evenfall/errors';
import { type ClientOf, pushable } from '@evenfall/rpc';
import type { Log } from '@evenfall/telemetry';
import { type Clock, createBackoff, delay, msOfDuration } from '@evenfall/time';
import type { Outbox } from '../flows/agent.ts';
import { createLease, DEFAULT_HEARTBEAT_MS, DEFAULT_LEASE_MS } from './lease.ts';
import type { LeaseThread } from './lease-thread.ts';
import { createBatchSender } from './send-batches.ts';

/** What the loop needs of the agent. */
export type AttachHooks = {
  /** Renews the lease beside the stream. */
  readonly thread?: LeaseThread | undefined;
  /** Whether the scheduler is in this process: then one cannot continue while the other is suspended. */
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
  /** Checks the lease; called about four times a second. */
  checkLease(): void;
  /** Whether a scheduler has welcomed this agent and not gone away since. */
  isAttached(): boolean;
  /** Reports to the scheduler how busy the host is, if that has changed. */
  reportLoad(cpuBusy: number, temporaryMb: number): void;
};

const RECONNECT = { firstMs: 100, mostMs: 1_000 };
/** Between two hellos that are refused for their content. */
const REFUSED_PAUSE_MS = 60_000;

/** Holds the stream to the scheduler: hello, heartbeats, batches both ways, and the lease. */
export function attachment(
  scheduler: ClientOf<typeof SchedulerServiceService>,
  clock: Clock,
  log: Log,
  random: () => number,
  hooks: AttachHooks,
): Attachment {
  const { open, close, beat, reportLoad, ...outbox } = createBatchSender();
  let isAttached = false;
  let welcomed = 0;
  let endStream = (): void => undefined;
  const backoff = createBackoff(RECONNECT);
  const lease = createLease({
    clock,
    thread: hooks.thread,
    sharesProcess: hooks.sharesProcess,
    onLost(leaseMs) {
      log.warn('The lease ran out; everything that runs is killed', { lease_ms: leaseMs });
      hooks.leaseLost();
      endStream(); // what it brings relies on the lease: a new hello reports what is left
    },
  });

  const attachOnce = async (signal: AbortSignal): Promise<void> => {
    lease.check(); // a host that was suspended for long must not accept what another agent may run by now
    const mine = pushable<AttachRequest>();
    const ended = new AbortController();
    endStream = () => ended.abort(new Error('the lease ran out'));
    const helloMs = clock.monotonic();
    let beatTimer: NodeJS.Timeout | undefined;
    lease.restart();
    open(mine, hooks.hello(), hooks.drainLeftMs());
    // A hello that is received late begins a lease that is over early: a new one is better.
    const unwelcome = setTimeout(() => ended.abort(new Error('the scheduler gave no welcome')), lease.ms / 3);
    const onWelcome = (welcome: Welcome): void => {
      const heartbeatMs = msOfDuration(welcome.heartbeatInterval) ?? DEFAULT_HEARTBEAT_MS;
      lease.begin(msOfDuration(welcome.lease) ?? DEFAULT_LEASE_MS, heartbeatMs, helloMs);
      isAttached = true;
      welcomed += 1;
      backoff.reset();
      clearTimeout(unwelcome);
      clearInterval(beatTimer);
      beatTimer = setInterval(() => beat({ sentTime: lease.beat() }), heartbeatMs);
      log.info('Attached to the scheduler', { lease_ms: lease.ms });
      hooks.repeat(outbox);
    };
    try {
      for await (const response of scheduler.attach(mine, { signal: AbortSignal.any([signal, ended.signal]) })) {
        lease.check();
        ended.signal.throwIfAborted();
        if (response.welcome) onWelcome(response.welcome);
        if (response.heartbeat) lease.onEcho(response.heartbeat);
        hooks.receive(response);
      }
    } catch (error) {
      ended.signal.throwIfAborted(); // with the reason why it was cancelled
      throw error;
    } finally {
      isAttached = false;
      clearTimeout(unwelcome);
      clearInterval(beatTimer);
      close(mine);
      mine.end();
    }
  };
  return {
    ...outbox,
    run: (signal) => keepAttached({ attachOnce, welcomes: () => welcomed, pauseMs: () => backoff.next(), random, log }, signal),
    isAttached: () => isAttached,
    reportLoad,
    checkLease: lease.check,
  };
}

type AttachLoop = {
  attachOnce(signal: AbortSignal): Promise<void>;
  /** How many streams were welcomed so far. */
  welcomes(): number;
  pauseMs(): number;
  readonly random: () => number;
  readonly log: Log;
};

/** Attaches again and again until the signal. */
async function keepAttached({ attachOnce, welcomes, pauseMs, random, log }: AttachLoop, signal: AbortSignal): Promise<void> {
  let isLogged = false; // a scheduler that is unavailable for long is worth one line
  while (!signal.aborted) {
    const before = welcomes();
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
    if (welcomes() > before || !isLogged) log.warn('The stream to the scheduler broke; trying again', { error: why });
    isLogged = true;
    // Jitter: the agents do not all reconnect at once when a scheduler comes back.
    if (!(await delay(pauseMs() * (0.5 + random()), signal))) return;
  }
}
