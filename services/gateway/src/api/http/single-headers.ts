import { refuse, type Refusal } from '@evenfall/errors';

/**
 * Headers that have one value. Of some that occur twice Node keeps the first, others it joins with a comma, and a proxy in front may do the
 * opposite: the two would read one request differently. By their names in lower case, and as refusals spell them.
 */
const SINGLE: ReadonlyMap<string, string> = new Map(
  [
    ...['Host', 'Authorization', 'Content-Type', 'Content-Encoding'],
    ...['Idempotency-Key', 'Evenfall-Qualifier', 'Evenfall-Delay', 'Evenfall-Cancel', 'Last-Event-ID'],
  ].map((name) => [name.toLowerCase(), name]),
);

/** The refusal of a request that has one of these headers twice. On the path of every event: one look-up for each name. */
export function repeatedHeader(rawHeaders: readonly string[]): Refusal | undefined {
  let seen: string[] | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = SINGLE.get((rawHeaders[i] ?? '').toLowerCase());
    if (name === undefined) continue;
    if (seen?.includes(name)) return refuse('INVALID_FIELD', { field: name, rule: 'a header that comes once' });
    (seen ??= []).push(name);
  }
  return undefined;
}
