import ipaddr from 'ipaddr.js';

/** Whether only this machine can call what listens on such an address, and whether a peer with such an address is on this machine. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost') return true;
  const address = host.replace(/^\[(.*)\]$/, '$1');
  const isAddress = ipaddr.IPv4.isValidFourPartDecimal(address) || ipaddr.IPv6.isValid(address);
  return isAddress && ipaddr.process(address).range() === 'loopback'; // `process` reads IPv4 out of `::ffff:127.0.0.1`
}
