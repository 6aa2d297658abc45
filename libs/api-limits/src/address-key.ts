import ipaddr from 'ipaddr.js';

/**
 * What one caller's addresses have in common: an IPv4 address, or the first half of an IPv6 one, since a host is given a /64 to choose from. IPv4
 * within IPv6 (`::ffff:a.b.c.d`) is IPv4.
 */
export function addressKeyOf(address: string | undefined): string {
  const plain = (address ?? '').replace(/%.*$/, '');
  if (!ipaddr.IPv4.isValidFourPartDecimal(plain) && !ipaddr.IPv6.isValid(plain)) return plain === '' ? 'unknown' : plain.toLowerCase();
  const parsed = ipaddr.process(plain);
  return parsed instanceof ipaddr.IPv4
    ? parsed.toString()
    : `${parsed.parts
        .slice(0, 4)
        .map((part) => part.toString(16))
        .join(':')}::/64`;
}
