import { createHash } from 'node:crypto';
import { type ListEventsRequest, ListEventsRequest as Codec } from '@evenfall/contracts/v1/event_service';
import { isUuid } from '@evenfall/time';

/** Where a page ended. */
export type PageKey = {
  /** Milliseconds of the ordering time; null for an event without one. */
  readonly timeMs: number | null;
  readonly id: string;
  /** With a time that is null: the last event before that had one. What has ended later had none when the walk came here. Unset if there was none. */
  readonly ended?: { readonly timeMs: number; readonly id: string } | undefined;
};

/** The list that a page is of: a query without its size and token, or another key that distinguishes lists. */
export type Filter = ListEventsRequest | string;

/** The year 10,000: later times have another form, which nothing here writes. */
const LATEST_MS = 253_402_300_800_000;

/** Writes a token: opaque, and only good for the filter it was made for. */
export function writePageToken(filter: Filter, key: PageKey): string {
  return Buffer.from(
    JSON.stringify([filterHash(filter), key.timeMs, key.id, ...(key.ended ? [key.ended.timeMs, key.ended.id] : [])]),
  ).toString('base64url');
}

/** Reads a token; undefined if it is none, or one of another filter. */
export function readPageToken(filter: Filter, token: string): PageKey | undefined {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
    if (!Array.isArray(parsed) || (parsed.length !== 3 && parsed.length !== 5)) return undefined;
    const [hash, timeMs, id, endedMs, endedId] = parsed as unknown[];
    if (hash !== filterHash(filter) || (timeMs !== null && !isTime(timeMs)) || !isId(id)) return undefined;
    if (parsed.length === 3) return { timeMs, id };
    return timeMs === null && isTime(endedMs) && isId(endedId) ? { timeMs, id, ended: { timeMs: endedMs, id: endedId } } : undefined;
  } catch {
    return undefined; // not base64, not JSON: not a token of ours
  }
}

function filterHash(filter: Filter): string {
  const bytes =
    typeof filter === 'string' ? filter : Codec.encode({ ...filter, pageToken: '', pageSize: 0, showTotalSize: false }).finish();
  return createHash('sha256').update(bytes).digest('base64url').slice(0, 12);
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < LATEST_MS;
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && isUuid(value);
}
