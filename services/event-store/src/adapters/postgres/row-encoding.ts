import type { Event } from '@evenfall/contracts/v1/event';

/** An array literal of ids or numbers, which hold nothing that would have to be escaped. Its type is that of the cast beside it. */
export function literalOf(values: readonly (string | number)[]): string[] {
  return `{${values.join(',')}}` as unknown as string[]; // postgres.js hands a text on as it is
}

/** Columns of numbers and ids, gathered row by row. */
export function createColumns(count: number): { add(...values: (string | number)[]): void; column(index: number): string[] } {
  const columns: (string | number)[][] = Array.from({ length: count }, () => []);
  return {
    add(...values) {
      for (let i = 0; i < count; i++) columns[i]?.push(values[i] ?? 0);
    },
    column: (index) => literalOf(columns[index] ?? []),
  };
}

/** The distinct words of the rows. */
export type Words = ReturnType<typeof createWords>;

/** Indexes begin at 1, as WITH ORDINALITY counts. */
export function createWords() {
  const indexes = new Map<string, number>();
  let last: Event | undefined;
  let lastIndex = 0;
  const lists = { namespaces: [] as string[], functions: [] as string[], versions: [] as string[], triggers: [] as string[] };
  return {
    ...lists,
    indexOf(event: Event): number {
      const { namespace, function: fn, version, trigger } = event;
      // Events of one function come in rows; comparing four words is cheaper than joining them.
      const same = last?.function === fn && last.namespace === namespace && last.version === version && last.trigger === trigger;
      if (same) return lastIndex;
      last = event;
      lastIndex = find(namespace, fn, version, trigger);
      return lastIndex;
    },
  };

  function find(namespace: string, fn: string, version: string, trigger: string): number {
    const key = `${namespace}/${fn}/${version}/${trigger}`;
    const known = indexes.get(key);
    if (known !== undefined) return known;
    lists.namespaces.push(namespace);
    lists.functions.push(fn);
    lists.versions.push(version);
    lists.triggers.push(trigger);
    indexes.set(key, indexes.size + 1);
    return indexes.size;
  }
}

/** Bytes that travel as one and are cut up by the server. */
export type Blob = ReturnType<typeof createBlob>;

export function createBlob() {
  const parts: Uint8Array[] = [];
  let end = 1; // counted from 1, as substring() does
  return {
    /** Where the next bytes would begin. */
    get end() {
      return end;
    },
    /** Adds bytes and answers where they begin. */
    add(bytes: Uint8Array): number {
      const at = end;
      parts.push(bytes);
      end += bytes.length;
      return at;
    },
    bytes: (): Buffer => Buffer.concat(parts, end - 1),
  };
}
