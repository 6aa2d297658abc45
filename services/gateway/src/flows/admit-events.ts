import type { Access } from '@evenfall/access';
import type { RateLimit } from '@evenfall/contracts/v1/quota_service';
import { refuse } from '@evenfall/errors';
import type { Clock } from '@evenfall/time';
import { createRateLimits, type Limited } from '../domain/rate-limits.ts';
import type { Rate } from '../domain/token-bucket.ts';
import type { Admit, Gateway, QuotaBook, WaitingCounts } from '../ports.ts';

/** When to come again where it is not known when there is room. */
const ROOM_AFTER_MS = 1_000;
const NOTHING_SENT = (): void => undefined;

/** Makes what judges whether events may be sent, by the quotas of their namespace and of the key they are sent with. */
export function createAdmission(quotas: QuotaBook, waiting: WaitingCounts, clock: Clock): Admit {
  const rates = createRateLimits();
  return async ({ keyId, namespace, events, areQueued }) => {
    if (!(await quotas.known())) throw refuse('SERVICE_UNAVAILABLE', { detail: 'quotas are not known yet' });
    const ofNamespace = quotas.ofNamespace(namespace);
    const most = areQueued && ofNamespace?.queuedEvents !== undefined ? Number(ofNamespace.queuedEvents) : undefined;
    // What waited a moment ago may have started.
    if (most !== undefined && (!waiting.isRecent || waiting.count(namespace) + events > most)) await waiting.refresh();
    // From here on nothing else comes in between.
    const queued = most === undefined ? 0 : waiting.count(namespace);
    if (most !== undefined && queued + events > most) {
      const available = Math.max(0, most - queued);
      throw refuse('TOO_MANY_QUEUED_EVENTS', { namespace, limit: most, queued, available, retry_after_ms: ROOM_AFTER_MS });
    }
    const limited: Limited[] = [];
    const ofKey = quotas.ofKey(keyId);
    if (ofNamespace?.rate) limited.push({ scope: 'namespace', name: namespace, rate: rateOf(ofNamespace.rate) });
    if (ofKey?.rate) limited.push({ scope: 'key', name: keyId, rate: rateOf(ofKey.rate) });
    const refusal = limited.length === 0 ? undefined : rates.take(limited, events, clock.monotonic());
    if (refusal) throw refusal;
    return most === undefined ? NOTHING_SENT : waiting.add(namespace, events);
  };
}

/** Has everything that a key sends through a gateway judged first: one step for all events of a call. */
export function admittingGateway(gateway: Gateway, { id: keyId }: Access, admit: Admit): Gateway {
  const { queue, scheduler } = gateway;
  return {
    ...gateway,
    queue: {
      ...queue,
      acceptEvents: async (...given) => {
        const { events } = given[0];
        const sent = await admit({ keyId, namespace: events[0]?.accepted?.namespace ?? '', events: events.length, areQueued: true });
        try {
          return await queue.acceptEvents(...given);
        } finally {
          sent();
        }
      },
    },
    scheduler: {
      ...scheduler,
      invoke: async (...given) => {
        await admit({ keyId, namespace: given[0].assignment?.namespace ?? '', events: 1, areQueued: false });
        return scheduler.invoke(...given);
      },
    },
  };
}

function rateOf({ eventsPerSecond, burst }: RateLimit): Rate {
  return { perSecond: eventsPerSecond, burst: eventsPerSecond === 0 ? 0 : (burst ?? eventsPerSecond) };
}
