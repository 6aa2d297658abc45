import { refuse, type Refusal } from '@evenfall/errors';

/**
 * Headers that have one value. Node keeps the first of some that come twice and joins others with a comma, and a proxy in front may do the
 * opposite: two readers of one request would see two requests. By name as it is written on the wire in lower case, and as refusals spell it.
 */
const SINGLE: ReadonlyMap<string, string> = new Map(
  [
    ...['Host', 'Authorization', 'Content-Type', 'Content-Encoding'],
    ...['Idempotency-Key', 'Evenfall-Qualifier', 'Evenfall-Delay', 'Evenfall-Cancel', 'Last-Event-ID'],
  ].map((name) => [name.toLowerCase(), name]),
);

/** The refusal of a request that has one of these headers twice. On the path of every accept: one look at each name. */
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
