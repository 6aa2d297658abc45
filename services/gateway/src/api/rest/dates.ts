import { refuse } from '@evenfall/errors';

/** Reads a time that a schema has let through; undefined stays undefined. */
export function dateOf(field: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) throw refuse('INVALID_FIELD', { field, rule: 'a time that exists' });
  return date;
}
