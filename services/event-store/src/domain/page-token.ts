import { createHash } from 'node:crypto';
import { type ListEventsRequest, ListEventsRequest as Codec } from '@evenfall/contracts/v1/event_service';
import { isUuid } from '@evenfall/time';

/** Where a page ended. */
export type PageKey = {
  /** Milliseconds of the ordering time; null for an event without one. */
  readonly timeMs: number | null;
  readonly id: string;
};

/** What a page is of: a query whose size and token do not matter, or whatever else tells lists apart. */
export type Filter = ListEventsRequest | string;

/** The year 10,000: later times have another form, which nothing here writes. */
const LATEST_MS = 253_402_300_800_000;

/** Writes a token: opaque, and only good for the filter it was made for. */
export function writePageToken(filter: Filter, key: PageKey): string {
  return Buffer.from(JSON.stringify([filterHash(filter), key.timeMs, key.id])).toString('base64url');
}

/** Reads a token; undefined if it is none, or one of another filter. */
export function readPageToken(filter: Filter, token: string): PageKey | undefined {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
    if (!Array.isArray(parsed) || parsed.length !== 3) return undefined;
    const [hash, timeMs, id] = parsed as unknown[];
    const timeIsGood = timeMs === null || (typeof timeMs === 'number' && Number.isInteger(timeMs) && timeMs >= 0 && timeMs < LATEST_MS);
    if (hash !== filterHash(filter) || !timeIsGood || typeof id !== 'string' || !isUuid(id)) return undefined;
    return { timeMs: timeMs, id };
  } catch {
    return undefined; // not base64, not JSON: not a token of ours
  }
}

function filterHash(filter: Filter): string {
  const bytes =
    typeof filter === 'string' ? filter : Codec.encode({ ...filter, pageToken: '', pageSize: 0, showTotalSize: false }).finish();
  return createHash('sha256').update(bytes).digest('base64url').slice(0, 12);
}
