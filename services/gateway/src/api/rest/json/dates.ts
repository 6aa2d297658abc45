import { refuse } from '@evenfall/errors';

/** Reads a time that a schema has let through; undefined stays undefined. Days that a month does not have are refused. */
export function dateOf(field: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const date = new Date(text);
  // Date counts on from the end of a month: of the day as it is written, in UTC, nothing may be left over.
  const day = text.slice(0, 10);
  const isDay = new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
  if (Number.isNaN(date.getTime()) || !isDay) throw refuse('INVALID_FIELD', { field, rule: 'a time that exists' });
  return date;
}
