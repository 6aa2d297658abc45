import type { Refusal } from '@evenfall/errors';

/** The refusal of the first item that has one. */
export function firstRefusal<T>(items: readonly T[], refusalOf: (item: T, index: number) => Refusal | undefined): Refusal | undefined {
  for (const [index, item] of items.entries()) {
    const refusal = refusalOf(item, index);
    if (refusal) return refusal;
  }
  return undefined;
}
