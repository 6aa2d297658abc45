import type { Log } from '@evenfall/telemetry';
import { aborted, type Clock, createBackoff, delay } from '@evenfall/time';
import { createLocalJWKSet, type JWK, type JWTVerifyGetKey } from 'jose';
import type { FetchKeys } from './fetch-keys.ts';

/** The keys of an issuer, as they were fetched last. */
export type KeySet = {
  readonly find: JWTVerifyGetKey;
  /**
   * What the keys are that a token may be signed with, as text: those of the id that it names, of which there may be several, or all where it names none.
   * Undefined if there are none.
   */
  textOf(kid: string | undefined): string | undefined;
};

export type IssuerKeys = {
  /** Undefined if they were not fetched for too long: a key may have been taken back. */
  current(): KeySet | undefined;
  /** Fetches them, unless that was done a moment ago. Never rejects; answers whether they are newer now than when it was asked. */
  refresh(): Promise<boolean>;
  /** Why tokens cannot be checked now, for people; undefined if they can. */
  note(): string | undefined;
  run(signal: AbortSignal): Promise<void>;
};

export type IssuerOptions = {
  readonly issuer: string;
  /** How long keys are good without having been fetched anew. */
  readonly maxAgeMs: number;
  readonly fetchKeys: FetchKeys;
  /** Called with a set that differs from the one before. */
  readonly onChange: (keys: KeySet) => void;
  readonly clock: Clock;
  readonly log: Log;
};

const EVERY_MS = 5 * 60_000;
const RETRY = { firstMs: 1_000, mostMs: 30_000 };
/** Tokens with unknown keys, which anybody can send, have the issuer asked so often at most. */
const LEAST_AGE_MS = 10_000;

/** Holds the keys that an issuer signs with: fetched every few minutes, and when a token names one that is not known. */
export function createIssuerKeys({ issuer, maxAgeMs, fetchKeys, onChange, clock, log }: IssuerOptions): IssuerKeys {
  let held: { readonly keys: KeySet; readonly text: string; fetchedMs: number } | undefined;
  let askedMs = -Infinity;
  let asking: Promise<void> | undefined;
  let failure: string | undefined;

  const fetchNow = async (): Promise<void> => {
    askedMs = clock.monotonic();
    try {
      const set = await fetchKeys(issuer);
      const text = JSON.stringify(set);
      const isSame = held?.text === text;
      held = { keys: isSame && held ? held.keys : keySetOf(set.keys), text, fetchedMs: clock.monotonic() };
      if (!isSame) onChange(held.keys);
      if (failure !== undefined) log.info('the keys of the token issuer were fetched again', { issuer });
      failure = undefined;
    } catch (error) {
      failure = sentenceOf(error);
      log.warn('the keys of the token issuer cannot be fetched', { issuer, error: failure, known: held !== undefined });
    }
  };
  const ask = (): Promise<void> => (asking ??= fetchNow().finally(() => (asking = undefined)));
  const isRecent = (): boolean => held !== undefined && clock.monotonic() - held.fetchedMs <= maxAgeMs;
  return {
    current: () => (isRecent() ? held?.keys : undefined),
    async refresh() {
      if (!asking && clock.monotonic() - askedMs < LEAST_AGE_MS) return false;
      const before = held?.fetchedMs;
      await ask();
      return held?.fetchedMs !== before;
    },
    note() {
      if (failure === undefined) return held ? undefined : `tokens are not taken yet: the keys of ${issuer} are being fetched`;
      const what = isRecent() ? 'tokens are checked by keys that were fetched before' : 'tokens are refused';
      return `${what}: the keys of ${issuer} cannot be fetched (${failure})`;
    },
    async run(signal) {
      const backoff = createBackoff(RETRY);
      const stopped = aborted(signal);
      while (!signal.aborted) {
        await Promise.race([ask(), stopped]); // the APIs stop without waiting for an issuer that does not answer
        if (failure === undefined) backoff.reset();
        await delay(failure === undefined ? EVERY_MS : backoff.next(), signal);
      }
    },
  };
}

function keySetOf(keys: readonly JWK[]): KeySet {
  const texts = new Map<string | undefined, string>();
  const sorted = keys.map((key) => ({ kid: key.kid, text: JSON.stringify(key) })).sort((a, b) => (a.text < b.text ? -1 : 1));
  for (const { kid, text } of sorted) for (const name of new Set([undefined, kid])) texts.set(name, `${texts.get(name) ?? ''}${text}\n`);
  return { find: createLocalJWKSet({ keys: [...keys] }), textOf: (kid) => texts.get(kid) };
}

function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
  return `${error.message}${cause}`.slice(0, 300);
}
