import type { Row, Sql as AnySql } from 'postgres';
import type { Sql } from './sql.ts';
import { rowsOf } from './rows-of.ts';

/** A part of a statement, or all of it. */
export type Part = { readonly strings: readonly string[]; readonly values: readonly unknown[] };

/**
 * Makes a part of a statement. Parts in it become text of their own, everything else a parameter. Costs a fraction of a fragment of postgres.js,
 * which is a whole query with a promise: statements of a dozen parts that are sent for every read are made of these.
 */
export function part(strings: TemplateStringsArray, ...values: unknown[]): Part {
  return new Fragment(strings, values);
}

/** Text as it is. For names and numbers this code makes itself; never for input of a caller. */
export function raw(text: string): Part {
  return new Fragment([text], []);
}

/** Sends a statement, prepared, and answers its rows. */
export function ask<T extends Row>(sql: Sql, statement: Part): Promise<T[]> {
  const parameters: unknown[] = [];
  const text = textOf(statement, parameters);
  // Each is what postgres.js would have taken in a template.
  return rowsOf<T>(sql.unsafe<T[]>(text, parameters as Parameters<AnySql['unsafe']>[1] & never[], { prepare: true }));
}

/** A class, so that an object in the input of a caller is never mistaken for one. */
class Fragment implements Part {
  readonly strings: readonly string[];
  readonly values: readonly unknown[];
  constructor(strings: readonly string[], values: readonly unknown[]) {
    this.strings = strings;
    this.values = values;
  }
}

function textOf({ strings, values }: Part, parameters: unknown[]): string {
  let text = strings[0] ?? '';
  for (const [i, value] of values.entries()) {
    text += value instanceof Fragment ? textOf(value, parameters) : `$${parameters.push(value)}`;
    text += strings[i + 1] ?? '';
  }
  return text;
}
