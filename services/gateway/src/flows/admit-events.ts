import { type Access, keyHeader } from '@evenfall/access';
import type { RateLimit } from '@evenfall/contracts/v1/quota_service';
import { refuse } from '@evenfall/errors';
import type { CallOptions } from '@evenfall/rpc';
import type { Clock } from '@evenfall/time';
import { createRateLimits, type Limited } from '../domain/rate-limits.ts';
import type { Rate } from '../domain/token-bucket.ts';
import type { Admit, Counted, Gateway, QuotaBook, WaitingCounts } from '../ports.ts';

/** When to come again where it is not known when there is room. */
const ROOM_AFTER_MS = 1_000;
const NOTHING_SENT = (): void => undefined;

/** Makes what judges whether events may be sent, by the quotas of their namespace and of the key they are sent with. */
export function createAdmission(quotas: QuotaBook, waiting: WaitingCounts, clock: Clock): Admit {
  const rates = createRateLimits();
  return async ({ keyId, namespace, events, areQueued }) => {
    if (!(await quotas.known())) throw refuse('SERVICE_UNAVAILABLE', { detail: 'quotas are not known yet' });
    const ofNamespace = quotas.ofNamespace(namespace);
    const ofKey = quotas.ofKey(keyId);
    const queued: (Counted & { readonly most: number })[] = [];
    if (areQueued && ofNamespace?.queuedEvents !== undefined)
      queued.push({ scope: 'namespace', name: namespace, most: Number(ofNamespace.queuedEvents) });
    if (areQueued && ofKey?.queuedEvents !== undefined) queued.push({ scope: 'key', name: keyId, most: Number(ofKey.queuedEvents) });
    // What waited a moment ago may have started.
    if (queued.some((one) => !waiting.isRecent || waiting.count(one) + events > one.most)) await waiting.refresh();
    // From here on nothing else comes in between.
    const full = fullest(queued, events, waiting);
    if (full) throw refuse('TOO_MANY_QUEUED_EVENTS', { ...full, namespace, retry_after_ms: ROOM_AFTER_MS });
    const limited: Limited[] = [];
    if (ofNamespace?.rate) limited.push({ scope: 'namespace', name: namespace, rate: rateOf(ofNamespace.rate) });
    if (ofKey?.rate) limited.push({ scope: 'key', name: keyId, rate: rateOf(ofKey.rate) });
    const refusal = limited.length === 0 ? undefined : rates.reserve(limited, events, clock.monotonic());
    if (refusal) throw refusal;
    return queued.length === 0 ? NOTHING_SENT : waiting.add(queued, events);
  };
}

/** Of the limits of what waits that the events would exceed, the one that leaves room for the fewest. */
function fullest(limits: readonly (Counted & { readonly most: number })[], events: number, waiting: WaitingCounts) {
  let found: (Counted & Record<'limit' | 'queued' | 'available', number>) | undefined;
  for (const one of limits) {
    const count = waiting.count(one);
    const available = Math.max(0, one.most - count);
    if (count + events <= one.most || available >= (found?.available ?? Infinity)) continue;
    found = { scope: one.scope, name: one.name, limit: one.most, queued: count, available };
  }
  return found;
}

/**
 * Has everything that a key sends through a gateway judged first: one step for all events of a call. Queue and registry receive the id of the key: they count
 * for its quota.
 */
export function admittingGateway(gateway: Gateway, { id: keyId }: Access, admit: Admit): Gateway {
  const { queue, scheduler, functions } = gateway;
  const withKey = (options: CallOptions = {}): CallOptions => ({ ...options, headers: { ...options.headers, ...keyHeader(keyId) } });
  return {
    ...gateway,
    functions: {
      ...functions,
      createFunction: (request, options) => functions.createFunction(request, withKey(options)),
      updateFunctionCode: (request, options) => functions.updateFunctionCode(request, withKey(options)),
      streamUpdateFunctionCode: (requests, options) => functions.streamUpdateFunctionCode(requests, withKey(options)),
      publishFunctionVersion: (request, options) => functions.publishFunctionVersion(request, withKey(options)),
    },
    queue: {
      ...queue,
      acceptEvents: async (request, options) => {
        const events = request.events.map((one) => ({ ...one, accepted: one.accepted && { ...one.accepted, accessKeyId: keyId } }));
        const sent = await admit({ keyId, namespace: events[0]?.accepted?.namespace ?? '', events: events.length, areQueued: true });
        try {
          return await queue.acceptEvents({ events }, options);
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
