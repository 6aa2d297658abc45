import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '@evenfall/time';
import { createGrants, GRANT_BYTES, type Granted } from './grants.ts';

/** What an agent says it was given, and what it shows for that. */
export type Claimed = { readonly granted: Granted; readonly grant: Buffer };

/** Checks what agents show, by keys that are fetched when they are needed. */
export type GrantChecker = {
  /**
   * Whether an agent was given each of these. Fetches the keys anew where a grant names one that is not known, and throws what that throws: without
   * the validity of a grant cannot be checked.
   */
  check(agentId: string, claims: readonly Claimed[]): Promise<readonly boolean[]>;
};

export type GrantCheckerTerms = {
  /** Asks the registry for the keys, 32 bytes each. */
  readonly keys: () => Promise<readonly Buffer[]>;
  readonly clock: Clock;
  /** Waits; a test has it return at once. */
  readonly pause?: (ms: number) => Promise<void>;
};

/** Agents can name as many keys that do not exist as they like. */
const FETCH_EVERY_MS = 1_000;
/** The registry drops keys that are too old: so do those who hold them. */
const KEYS_MAX_AGE_MS = 3_600_000;
/** Grants that were good are remembered, so that an attempt with many lines is one HMAC. 200 bytes each. */
const MOST_REMEMBERED = 10_000;

/** A checker that remembers a bounded number of good grants, and asks for keys once a second at most, for all that wait. */
export function createGrantChecker({ keys, clock, pause = (ms) => sleep(ms) }: GrantCheckerTerms): GrantChecker {
  const grants = createGrants();
  const good = new Set<string>();
  let fetchedMs = -Infinity;
  let next: Promise<void> | undefined;

  /** A fetch that begins after this call; those who come while one is waited for share it. */
  const fetchAnew = (): Promise<void> => {
    next ??= (async () => {
      const waitMs = fetchedMs + FETCH_EVERY_MS - clock.monotonic();
      await (waitMs > 0 ? pause(waitMs) : undefined); // in any case: `next` is set before it is taken away
      fetchedMs = clock.monotonic();
      next = undefined; // who comes from here on may know of a key that this answer does not have
      grants.use(await keys());
      good.clear();
    })();
    return next;
  };
  const isGood = (agentId: string, { granted, grant }: Claimed): boolean => {
    const key = `${agentId}\0${granted}\0${grant.toString('base64')}`;
    if (good.has(key)) return true;
    if (grants.check(granted, agentId, grant) === undefined) return false;
    if (good.size >= MOST_REMEMBERED) good.delete(good.values().next().value ?? '');
    good.add(key);
    return true;
  };
  return {
    async check(agentId, claims) {
      if (claims.some(({ grant }) => grant.length === GRANT_BYTES && !grants.knowsKeyOf(grant))) await fetchAnew();
      else if (clock.monotonic() - fetchedMs > KEYS_MAX_AGE_MS) fetchAnew().catch(() => undefined); // those that are known do meanwhile
      return claims.map((claim) => isGood(agentId, claim));
    },
  };
}
