import { isIPv4, isIPv6 } from 'node:net';

/** What a Host header, an `:authority` or an origin names. */
export type Authority = {
  /** In lower case, as it was written: with its brackets, or with its trailing dot. */
  readonly host: string;
  readonly isAddress: boolean;
  /** Undefined if the scheme's own is meant. */
  readonly port: number | undefined;
};

/** What may be listed as an allowed host: a name, or all names of one label before a name. Addresses need not be listed. */
export const HOST_NAME = /^(\*\.)?[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i;

const AUTHORITY = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9_.-]{1,254})(?::(\d{0,5}))?$/i;

/**
 * Reads a host with a port or without (RFC 9110 §7.2). Undefined for all that a client does not write: user names, zones of IPv6, IPv6 without
 * brackets, percent signs, blanks, a list.
 */
export function readAuthority(text: string): Authority | undefined {
  const [, written = '', digits = ''] = AUTHORITY.exec(text) ?? [];
  const port = digits === '' ? undefined : Number(digits);
  if (written === '' || (port !== undefined && port > 65_535)) return undefined;
  const host = written.toLowerCase();
  if (!host.startsWith('[')) return { host, isAddress: isIPv4(host), port };
  return isIPv6(host.slice(1, -1)) ? { host, isAddress: true, port } : undefined;
}

/**
 * Makes the check of hosts. Addresses pass: by one, a page of another site has another origin. `localhost` passes: no name server answers for
 * it. Any other name could be made to lead here by its owner (DNS rebinding), and passes only if it is listed.
 */
export function hostCheck(allowed: readonly string[]): (authority: Authority) => boolean {
  const names = new Set(['localhost']);
  const parents = new Set<string>();
  for (const name of allowed) {
    const lower = name.toLowerCase();
    if (lower.startsWith('*.')) parents.add(lower.slice(2));
    else names.add(lower);
  }
  return ({ host, isAddress }) => {
    if (isAddress) return true;
    const name = host.endsWith('.') ? host.slice(0, -1) : host; // the same name, written in full
    if (names.has(name)) return true;
    const dot = name.indexOf('.');
    return dot > 0 && parents.has(name.slice(dot + 1));
  };
}

/** Whether two authorities are one, for callers of a scheme. A name with a trailing dot is another origin to a browser. */
export function isSameAuthority(one: Authority, other: Authority, scheme: string): boolean {
  const standard = scheme === 'https' ? 443 : 80;
  return (one.port ?? standard) === (other.port ?? standard) && canonical(one.host) === canonical(other.host);
}

/** IPv6 has many spellings; browsers send the shortest, others what they were given. */
function canonical(host: string): string {
  return host.startsWith('[') ? new URL(`http://${host}`).hostname : host;
}
