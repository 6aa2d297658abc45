import { isIPv6 } from 'node:net';

/**
 * What one caller's addresses have in common: an IPv4 address, or of IPv6 the first half, since a host is given a /64 to choose from. IPv4 within
 * IPv6 (`::ffff:a.b.c.d`) is IPv4.
 */
export function addressKeyOf(address: string | undefined): string {
  const plain = (address ?? '').replace(/%.*$/, '').toLowerCase();
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(plain)?.[1];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(plain)) return plain === '' ? 'unknown' : plain;
  const [head = '', tail] = plain.split('::', 2);
  const groups = head === '' ? [] : head.split(':');
  const more = tail === undefined || tail === '' ? [] : tail.split(':');
  const size = (parts: readonly string[]): number => parts.length + (parts.at(-1)?.includes('.') === true ? 1 : 0);
  const zeros = tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - size(groups) - size(more)) }, () => '0');
  const first = [...groups, ...zeros, ...more].slice(0, 4).map((group) => group.replace(/^0+(?=.)/, ''));
  return `${first.join(':')}::/64`;
}
