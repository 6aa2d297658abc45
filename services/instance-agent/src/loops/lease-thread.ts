import { Worker } from 'node:worker_threads';
import type { TlsFiles } from '@evenfall/rpc';
import type { Log } from '@evenfall/telemetry';

/** What the thread starts with. */
export type LeaseThreadData = {
  readonly address: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Files of the agent's certificate, where it has one. */
  readonly tls?: TlsFiles | undefined;
  readonly agentId: string;
  readonly sessionId: string;
  /** Times of the kernel's clock in milliseconds, written by both: when the main thread was last seen alive, and when the lease was last renewed. */
  readonly times: SharedArrayBuffer;
};
export const [ALIVE, RENEWED] = [0, 1];

export type LeaseThreadMessage =
  | { readonly kind: 'lease'; readonly leaseMs: number; readonly heartbeatMs: number }
  /** There is no lease to lose. */
  | { readonly kind: 'lost' }
  /** A launcher, whose end is that of its function. */
  | { readonly kind: 'started' | 'ended'; readonly pid: number };

/**
 * Renews the lease while the main thread is too busy for its heartbeats, up to 20 s, and kills every function when the lease has run out and the main
 * thread has not done it: an agent that hangs never keeps what another may run.
 */
export type LeaseThread = {
  /** The main thread is alive; called several times a second. */
  tick(): void;
  /** The lease was granted, or renewed, so many milliseconds ago. */
  renewed(agoMs: number, leaseMs: number, heartbeatMs: number): void;
  lost(): void;
  /** How long ago the thread has renewed it; Infinity if it has not. */
  renewedAgoMs(): number;
  launched(pid: number): void;
  ended(pid: number): void;
  close(): Promise<unknown>;
};

/** The kernel's monotonic clock, which all threads share. */
export function kernelMs(): bigint {
  return process.hrtime.bigint() / 1_000_000n;
}

export function startLeaseThread(data: Omit<LeaseThreadData, 'times'>, log: Log): LeaseThread {
  const times = new SharedArrayBuffer(2 * BigInt64Array.BYTES_PER_ELEMENT);
  const at = new BigInt64Array(times);
  const worker = new Worker(new URL('./lease-worker.ts', import.meta.url), { workerData: { ...data, times } satisfies LeaseThreadData });
  worker.on('error', (error) => log.error('The thread that renews the lease ended; the main thread goes on alone', error));
  worker.on('message', (text: string) => log.warn(text));
  worker.unref();
  const send = (message: LeaseThreadMessage): void => worker.postMessage(message);
  let known = '';
  const tick = (): void => void Atomics.store(at, ALIVE, kernelMs());
  tick();
  return {
    tick,
    renewed(agoMs, leaseMs, heartbeatMs) {
      Atomics.store(at, RENEWED, kernelMs() - BigInt(Math.round(agoMs)));
      const now = `${leaseMs} ${heartbeatMs}`;
      if (now !== known) send({ kind: 'lease', leaseMs, heartbeatMs });
      known = now;
    },
    lost() {
      known = '';
      send({ kind: 'lost' });
    },
    renewedAgoMs: () => (Atomics.load(at, RENEWED) === 0n ? Infinity : Number(kernelMs() - Atomics.load(at, RENEWED))),
    launched: (pid) => send({ kind: 'started', pid }),
    ended: (pid) => send({ kind: 'ended', pid }),
    close: () => worker.terminate(),
  };
}
