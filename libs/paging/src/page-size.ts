import { refuse } from '@evenfall/errors';

/** The page size meant: 0 is the default, more than the most is the most. Throws INVALID_FIELD for less than 0. */
export function pageSizeOf(asked: number, fallback: number, max: number): number {
  if (asked < 0) throw refuse('INVALID_FIELD', { field: 'page_size', rule: `a whole number from 1 to ${max}` });
  return asked === 0 ? fallback : Math.min(asked, max);
}
