import ipaddr from 'ipaddr.js';

/** IPv6 addresses that IANA has given out as global unicast. What lies outside is reserved, whatever it may become. */
const GLOBAL_UNICAST: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('2000::'), 3];

/**
 * Whether an address is one of the public internet: in none of the special-purpose ranges (RFC 6890 and its successors), such as those of this
 * machine, of private networks, and those that hold an IPv4 address within an IPv6 one.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.IPv4.isValidFourPartDecimal(address) && !ipaddr.IPv6.isValid(address)) return false;
  const parsed = ipaddr.parse(address);
  return parsed.range() === 'unicast' && (parsed instanceof ipaddr.IPv4 || parsed.match(GLOBAL_UNICAST));
}
