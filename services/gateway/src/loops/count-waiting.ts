import { delay } from '@evenfall/time';
import type { Clock } from '@evenfall/time';
import type { GatewayPorts, WaitingCounts } from '../ports.ts';

const EVERY_MS = 500;
const ANSWER_MS = 1_000;
/** Who asks again so soon is answered what was counted last. */
const LEAST_AGE_MS = 50;
/** How long the counts of a replica that does not answer are taken for true. */
const FORGET_MS = 10_000;

/**
 * Knows how many events of each namespace wait to start: what the queue replicas said last, and what this gateway has sent since. They are asked only
 * while some quota needs it.
 */
export function createWaitingCounts(
  { queues }: Pick<GatewayPorts, 'queues'>,
  clock: Clock,
  isWanted: () => boolean,
): WaitingCounts & { run(signal: AbortSignal): Promise<void> } {
  const replicas = queues.map((client) => ({ client, counts: new Map<string, number>(), atMs: -Infinity }));
  // Sent since the last question, and before it while it has no answer yet.
  let sent = new Map<string, number>();
  // On its way to a queue: no answer counts it yet.
  const underWay = new Map<string, number>();
  let sentBefore = new Map<string, number>();
  let askedMs = -Infinity;
  let asking: Promise<void> | undefined;

  const ask = async (): Promise<void> => {
    askedMs = clock.monotonic();
    sentBefore = sent;
    sent = new Map();
    await Promise.all(
      replicas.map(async (replica) => {
        try {
          const { namespaces } = await replica.client.countWaiting({}, { timeoutMs: ANSWER_MS });
          replica.counts = new Map(namespaces.map(({ namespace, count }) => [namespace, Number(count)]));
          replica.atMs = clock.monotonic();
        } catch {
          // It is away, which is said where the dependencies are watched. Its partitions go to others.
          if (clock.monotonic() - replica.atMs > FORGET_MS) replica.counts.clear();
        }
      }),
    );
    sentBefore = new Map();
  };
  const refresh = (): Promise<void> => {
    if (!asking && clock.monotonic() - askedMs < LEAST_AGE_MS) return Promise.resolve();
    asking ??= ask().finally(() => (asking = undefined));
    return asking;
  };
  return {
    count(namespace) {
      let sum = 0;
      for (const own of [underWay, sent, sentBefore]) sum += own.get(namespace) ?? 0;
      for (const { counts } of replicas) sum += counts.get(namespace) ?? 0;
      return sum;
    },
    get isRecent() {
      return clock.monotonic() - askedMs <= 2 * EVERY_MS;
    },
    refresh,
    add(namespace, events) {
      plus(underWay, namespace, events);
      let isUnderWay = true;
      return () => {
        if (!isUnderWay) return;
        isUnderWay = false;
        plus(underWay, namespace, -events);
        plus(sent, namespace, events);
      };
    },
    async run(signal) {
      while (!signal.aborted) {
        if (isWanted()) await refresh();
        await delay(EVERY_MS, signal);
      }
    },
  };
}

function plus(counts: Map<string, number>, namespace: string, events: number): void {
  const sum = (counts.get(namespace) ?? 0) + events;
  if (sum === 0) counts.delete(namespace);
  else counts.set(namespace, sum);
}
