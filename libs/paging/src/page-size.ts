import { invalidField } from '@evenfall/errors';

/** Items of a page: without a size asked for, and at most. */
export type PageSizes = { readonly default: number; readonly most: number };

/** The page size meant: 0 is the default, more than the most is the most. Throws INVALID_FIELD for less than 0. */
export function pageSizeOf(asked: number, sizes: PageSizes): number {
  if (asked < 0) throw invalidField('page_size', `a whole number from 1 to ${sizes.most}`);
  return asked === 0 ? sizes.default : Math.min(asked, sizes.most);
}
