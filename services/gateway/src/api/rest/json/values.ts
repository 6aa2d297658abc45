import { refuse } from '@evenfall/errors';
import { durationOfMs, formatDuration, msOfDuration, parseDuration, type ProtoDuration } from '@evenfall/time';

/**
 * A field that the service behind the gateway always sets, although its protocol cannot say so. Without it the answer says null, which tests that validate
 * answers report.
 */
export function always<T>(value: T | undefined): T {
  return (value ?? null) as T; // a fault of the service behind: the caller sees null instead of no answer
}

type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** An object without its undefined fields, as JSON has it. */
export function defined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as Defined<T>; // what is left has a value
}

/** A text of a protocol buffer, where empty means none. */
export function textOrNull(text: string): string | null {
  return text === '' ? null : text;
}

export function durationText(duration: ProtoDuration | undefined): string | undefined {
  return duration && formatDuration(msOfDuration(duration));
}

/** Reads a duration that a schema has checked. */
export function durationFrom(text: string | undefined): ProtoDuration | undefined {
  const ms = text === undefined ? undefined : parseDuration(text);
  return ms === undefined ? undefined : durationOfMs(ms);
}

/** Reads a time that a schema has checked; undefined stays undefined. Throws INVALID_FIELD for a day that its month does not have. */
export function dateOf(field: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const date = new Date(text);
  // Date counts on from the end of a month: written back in UTC, the day has to be the same.
  const day = text.slice(0, 10);
  const isDay = new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
  if (Number.isNaN(date.getTime()) || !isDay) throw refuse('INVALID_FIELD', { field, rule: 'a time that exists' });
  return date;
}

/** The page that a query asks for. */
export function pageFrom(query: { readonly page_size?: number; readonly page_token?: string }): {
  readonly pageSize: number;
  readonly pageToken: string;
} {
  return { pageSize: query.page_size ?? 0, pageToken: query.page_token ?? '' };
}
