import { delay } from '@evenfall/time';
import type { Clock } from '@evenfall/time';
import type { Counted, GatewayPorts, WaitingCounts } from '../ports.ts';

const EVERY_MS = 500;
const ANSWER_MS = 1_000;
/** Who asks again so soon is answered what was counted last. */
const LEAST_AGE_MS = 50;
/** How long the counts of a replica that does not answer are taken for true. */
const FORGET_MS = 10_000;

/**
 * Knows how many events of each namespace and access key wait to start: what the queue replicas answered last, and what this gateway has sent since. They
 * are asked only while some quota needs it, and for keys only while one of a key does.
 */
export function createWaitingCounts(
  { queues }: Pick<GatewayPorts, 'queues'>,
  clock: Clock,
  isWanted: () => { readonly limitsQueued: boolean; readonly limitsQueuedByKey: boolean },
): WaitingCounts & { run(signal: AbortSignal): Promise<void> } {
  const replicas = queues.map((client) => ({ client, counts: new Map<string, number>(), atMs: -Infinity }));
  // Sent since the last question, and before it while it has no answer yet.
  let sent = new Map<string, number>();
  // On its way to a queue: no answer counts it yet.
  const underWay = new Map<string, number>();
  let sentBefore = new Map<string, number>();
  let askedMs = -Infinity;
  let askedByKey = false;
  let asking: Promise<void> | undefined;

  const ask = async (): Promise<void> => {
    askedMs = clock.monotonic();
    askedByKey = isWanted().limitsQueuedByKey;
    sentBefore = sent;
    sent = new Map();
    await Promise.all(
      replicas.map(async (replica) => {
        try {
          const { namespaces, keys } = await replica.client.countWaiting({ byKey: askedByKey }, { timeoutMs: ANSWER_MS });
          const counts = new Map<string, number>();
          for (const { namespace, count } of namespaces) counts.set(nameOf({ scope: 'namespace', name: namespace }), Number(count));
          for (const { keyId, count } of keys) counts.set(nameOf({ scope: 'key', name: keyId }), Number(count));
          replica.counts = counts;
          replica.atMs = clock.monotonic();
        } catch {
          // It is away, which is said where the dependencies are watched. Its partitions go to others.
          if (clock.monotonic() - replica.atMs > FORGET_MS) replica.counts.clear();
        }
      }),
    );
    sentBefore = new Map();
  };
  /** A quota of a key that is set now needs counts that were not asked for before. */
  const isComplete = (): boolean => askedByKey || !isWanted().limitsQueuedByKey;
  const refresh = async (): Promise<void> => {
    if (asking && !isComplete()) await asking;
    if (!asking && isComplete() && clock.monotonic() - askedMs < LEAST_AGE_MS) return;
    asking ??= ask().finally(() => (asking = undefined));
    await asking;
  };
  return {
    count(of) {
      const name = nameOf(of);
      let sum = 0;
      for (const own of [underWay, sent, sentBefore]) sum += own.get(name) ?? 0;
      for (const { counts } of replicas) sum += counts.get(name) ?? 0;
      return sum;
    },
    get isRecent() {
      return isComplete() && clock.monotonic() - askedMs <= 2 * EVERY_MS;
    },
    refresh,
    add(of, events) {
      const names = of.map(nameOf);
      for (const name of names) plus(underWay, name, events);
      let isUnderWay = true;
      return () => {
        if (!isUnderWay) return;
        isUnderWay = false;
        for (const name of names) {
          plus(underWay, name, -events);
          plus(sent, name, events);
        }
      };
    },
    async run(signal) {
      while (!signal.aborted) {
        if (isWanted().limitsQueued) await refresh();
        await delay(EVERY_MS, signal);
      }
    },
  };
}

function nameOf({ scope, name }: Counted): string {
  return `${scope} ${name}`;
}

function plus(counts: Map<string, number>, name: string, events: number): void {
  const sum = (counts.get(name) ?? 0) + events;
  if (sum === 0) counts.delete(name);
  else counts.set(name, sum);
}
