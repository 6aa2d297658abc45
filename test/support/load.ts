import type { RestClient } from './rest-client.ts';

/** A refused call. */
export type Refused = { readonly atMs: number; readonly status: number; readonly retryAfter: string | null; readonly tookMs: number };

/** Events that keep coming, with everything that was answered. */
export type Load = {
  /** Ids that got a 202: what must reach an end. */
  readonly accepted: readonly string[];
  readonly refused: readonly Refused[];
  /** Calls that broke without an answer. */
  readonly broken: readonly string[];
  /** Milliseconds since the epoch of the newest accept. */
  readonly lastAcceptedMs: number;
  /** Sends no more, and waits for the answers that are under way. */
  stop(): Promise<void>;
};

const EVERY_MS = 50;

/** Hands over events at a steady rate, whatever becomes of them. The payload is the same for all, or made for each. */
export function startLoad(rest: RestClient, fn: string, perSecond: number, payload: object | (() => object) = {}): Load {
  const accepted: string[] = [];
  const refused: Refused[] = [];
  const broken: string[] = [];
  const underWay = new Set<Promise<void>>();
  const beganMs = performance.now();
  let sent = 0;
  let lastAcceptedMs = 0;
  const send = async (): Promise<void> => {
    const atMs = performance.now();
    try {
      const path = `/v1/namespaces/default/functions/${fn}/events`;
      const { status, headers, body } = await rest.call<{ id: string }>('POST', path, {
        ...(typeof payload === 'function' ? payload() : payload),
        n: sent,
      });
      if (status === 202) {
        accepted.push(body.id);
        lastAcceptedMs = Date.now();
      } else refused.push({ atMs: Date.now(), status, retryAfter: headers.get('retry-after'), tookMs: performance.now() - atMs });
    } catch (error) {
      broken.push(String(error));
    }
  };
  const timer = setInterval(() => {
    for (const due = ((performance.now() - beganMs) / 1_000) * perSecond; sent < due; sent++) {
      const sending = send().finally(() => underWay.delete(sending));
      underWay.add(sending);
    }
  }, EVERY_MS);
  return {
    accepted,
    refused,
    broken,
    get lastAcceptedMs() {
      return lastAcceptedMs;
    },
    async stop() {
      clearInterval(timer);
      await Promise.all(underWay);
    },
  };
}
