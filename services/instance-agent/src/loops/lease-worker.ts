// The thread of lease-thread.ts: it has nothing to do as long as the main thread renews the lease itself.
import { parentPort, workerData } from 'node:worker_threads';
import { type SchedulerServiceService as Scheduler } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { ClientOf } from '@evenfall/rpc';
import { ALIVE, kernelMs, type LeaseThreadData, type LeaseThreadMessage, RENEWED } from './lease-thread.ts';

const { address, headers, tls: files, agentId, sessionId, times } = workerData as LeaseThreadData; // as lease-thread.ts passes it
const at = new BigInt64Array(times);
const ROUND_MS = 200;
/** A main thread that is away for longer hangs, and is not helped on. */
const BUSY_AT_MOST_MS = 20_000;
/** The main thread kills by itself; this long after it would have, it does not. */
const LATE_MS = 500;

const pids = new Set<number>();
let lease: { readonly leaseMs: number; readonly heartbeatMs: number } | undefined;
let isAsking = false;
let scheduler: ClientOf<Scheduler> | undefined;

parentPort?.on('message', (message: LeaseThreadMessage) => {
  if (message.kind === 'started') pids.add(message.pid);
  else if (message.kind === 'ended') pids.delete(message.pid);
  else lease = message.kind === 'lease' ? message : undefined;
});

setInterval(() => {
  if (!lease) return;
  const nowMs = kernelMs();
  const [renewedAgoMs, aliveAgoMs] = [Number(nowMs - Atomics.load(at, RENEWED)), Number(nowMs - Atomics.load(at, ALIVE))];
  if (renewedAgoMs > lease.leaseMs + LATE_MS && aliveAgoMs > LATE_MS) return killAll();
  if (renewedAgoMs > lease.heartbeatMs * 1.2 && aliveAgoMs <= BUSY_AT_MOST_MS && !isAsking) void renew(lease.heartbeatMs);
}, ROUND_MS);

/** Loaded when it is needed first: most agents never are too busy. */
async function open(): Promise<ClientOf<Scheduler>> {
  const [{ openPeer, openPeerTls }, { SchedulerServiceService }] = await Promise.all([
    import('@evenfall/rpc'),
    import('@evenfall/contracts/scheduler/v1/scheduler_service'),
  ]);
  // The main thread reports what is wrong with the files.
  const tls = files && (await openPeerTls(files, { onFault: () => undefined }));
  const secure = tls ? { secure: { tls, identity: 'scheduler' } } : {};
  return (scheduler = openPeer(address, { headers, ...secure }).client(SchedulerServiceService));
}

async function renew(heartbeatMs: number): Promise<void> {
  isAsking = true;
  try {
    const client = scheduler ?? (await open());
    const askedMs = kernelMs();
    await client.renewLease({ agentId, sessionId }, { timeoutMs: Math.max(1_000, heartbeatMs) });
    if (askedMs > Atomics.load(at, RENEWED)) Atomics.store(at, RENEWED, askedMs);
  } catch {
    // the scheduler is away, or has another session: the lease runs on, and out
  } finally {
    isAsking = false;
  }
}

/** No launcher's pid is reused meanwhile: only the main thread, which hangs, would reap it. */
function killAll(): void {
  lease = undefined;
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // it has gone by itself
    }
  }
  parentPort?.postMessage('The lease ran out while the agent was too busy to notice; every function was killed');
}
