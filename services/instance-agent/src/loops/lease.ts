import type { Heartbeat } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { Clock } from '@evenfall/time';
import type { LeaseThread } from './lease-thread.ts';

export const DEFAULT_LEASE_MS = 30_000;
export const DEFAULT_HEARTBEAT_MS = 5_000;
/** Heartbeats without an echo that are remembered. */
const MOST_BEATS = 100;

export type LeaseOptions = {
  readonly clock: Clock;
  /** Renews the lease beside the stream. */
  readonly thread: LeaseThread | undefined;
  /** Whether the scheduler is in this process: then one cannot continue while the other is suspended. */
  readonly sharesProcess: boolean;
  /** The lease ran out. */
  onLost(leaseMs: number): void;
};

/**
 * The lease of this host. It runs from when the last heartbeat that was echoed had been sent, by this host's monotonic clock: never longer than the
 * scheduler's own view of it.
 */
export type Lease = {
  readonly ms: number;
  /** Forgets the heartbeats of an earlier stream. */
  restart(): void;
  /** Begins a lease by a welcome, for a hello that was sent at a monotonic time. */
  begin(leaseMs: number, heartbeatMs: number, helloMs: number): void;
  /** Notes a heartbeat that is sent now; returns its wall-clock time. */
  beat(): Date;
  /** Renews the lease by the echo of a heartbeat. */
  onEcho(heartbeat: Heartbeat): void;
  /** Checks whether the lease ran out; called several times a second. */
  check(): void;
};

export function createLease({ clock, thread, sharesProcess, onLost }: LeaseOptions): Lease {
  let leaseMs = DEFAULT_LEASE_MS;
  let heartbeatMs = DEFAULT_HEARTBEAT_MS;
  let renewedMs = clock.monotonic();
  let checkedMs = renewedMs;
  let hasLease = false; // whether there is a lease to lose
  let beats: { readonly wallMs: number; readonly sentMs: number }[] = [];
  const renew = (sentMs: number): void => {
    renewedMs = Math.max(renewedMs, sentMs);
    hasLease = true;
    thread?.renewed(clock.monotonic() - renewedMs, leaseMs, heartbeatMs);
  };
  return {
    get ms() {
      return leaseMs;
    },
    restart() {
      beats = [];
    },
    begin(ms, everyMs, helloMs) {
      [leaseMs, heartbeatMs] = [ms, everyMs];
      renew(helloMs);
    },
    beat() {
      const wallMs = clock.now();
      beats.push({ wallMs, sentMs: clock.monotonic() });
      if (beats.length > MOST_BEATS) beats.shift();
      return new Date(wallMs);
    },
    onEcho(heartbeat) {
      const wallMs = heartbeat.sentTime?.getTime();
      const at = beats.findIndex((each) => each.wallMs === wallMs);
      const echoed = beats[at];
      if (!echoed) return;
      renew(echoed.sentMs);
      beats = beats.slice(at + 1);
    },
    check() {
      const nowMs = clock.monotonic();
      // Both were suspended, and the scheduler ends no lease for that: it begins the lease anew when it continues.
      if (sharesProcess && nowMs - checkedMs > leaseMs / 3) renewedMs = nowMs;
      checkedMs = nowMs;
      thread?.tick();
      if (hasLease && thread) renewedMs = Math.max(renewedMs, nowMs - thread.renewedAgoMs());
      if (!hasLease || clock.monotonic() - renewedMs <= leaseMs) return;
      hasLease = false;
      thread?.lost();
      onLost(leaseMs);
    },
  };
}
