/** IPv4 addresses from `first` on, as numbers. */
export type AddressRange = { readonly first: number; readonly count: number };

/** A network between an instance and its host: four addresses, of which two are theirs. */
export type Link = { readonly device: string; readonly hostAddress: string; readonly ownAddress: string; readonly release: () => void };

/** Devices of all agents begin so, and with nothing else of theirs. */
export const DEVICE_PREFIX = 'evf';
export const LINK_BITS = 30;
export const LINK_ADDRESSES = 4;
/** Agents of one host share a subnet. */
const SHARES = 16;
const [LONGEST_BITS, SHORTEST_BITS] = [22, 8];
/** Not used on the Internet: RFC 1918, and RFC 6598 for networks behind another translation. */
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'];

/** Reads `a.b.c.d/bits`: a private range of 8 to 22 bits, written by its first address. Throws a sentence with the name of the setting. */
export function subnetOf(text: string): AddressRange {
  const range = rangeOf(text);
  const bits = Number(text.split('/')[1]);
  const fault = !range
    ? 'is not of the form 10.213.0.0/16'
    : bits < SHORTEST_BITS || bits > LONGEST_BITS
      ? `has ${bits} bits: from ${SHORTEST_BITS} to ${LONGEST_BITS} leave room for ${SHARES} agents`
      : range.first % range.count !== 0
        ? 'does not begin with its first address'
        : !PRIVATE.some((each) => isWithinRange(range, rangeOf(each)))
          ? `is in none of ${PRIVATE.join(', ')}`
          : undefined;
  if (!range || fault !== undefined) throw new Error(`EVENFALL_AGENT_SUBNET: "${text}" ${fault ?? ''}`);
  return range;
}

/** The parts that agents claim for themselves. */
export function sharesOf({ first, count }: AddressRange): AddressRange[] {
  const share = count / SHARES;
  return Array.from({ length: SHARES }, (_, index) => ({ first: first + index * share, count: share }));
}

/** Reads `a.b.c.d/bits`, by any address of it. Throws if it is none. */
export function readRange(text: string): AddressRange {
  const range = rangeOf(text);
  if (!range) throw new Error(`"${text}" is no range of addresses: 192.168.0.0/24 is one`);
  return { ...range, first: range.first - (range.first % range.count) };
}

export function overlap(a: AddressRange, b: AddressRange): boolean {
  return a.first < b.first + b.count && b.first < a.first + a.count;
}

/** `a.b.c.d/bits` of a range. */
export function rangeText({ first, count }: AddressRange): string {
  return `${addressText(first)}/${32 - Math.log2(count)}`;
}

export function addressText(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

/** Name of the host's end of a link; names are in the order of their addresses. */
export function deviceOf(address: number): string {
  return `${DEVICE_PREFIX}${address.toString(16).padStart(8, '0')}`;
}

/** Hands out links of a share; the one that has been free for longest first, so that what is left of its last holder has gone. */
export function linkPool({ first, count }: AddressRange): { claim(isGone: (device: string) => boolean): Link | undefined } {
  const free = Array.from({ length: count / LINK_ADDRESSES }, (_, index) => first + index * LINK_ADDRESSES);
  return {
    claim(isGone) {
      const at = free.findIndex((base) => isGone(deviceOf(base)));
      const [base] = at === -1 ? [] : free.splice(at, 1);
      if (base === undefined) return undefined;
      let isClaimed = true;
      const release = (): void => {
        if (isClaimed) free.push(base);
        isClaimed = false;
      };
      return { device: deviceOf(base), hostAddress: addressText(base + 1), ownAddress: addressText(base + 2), release };
    },
  };
}

function rangeOf(text: string): AddressRange | undefined {
  const found = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text);
  if (!found) return undefined;
  const [bits = 99, ...bytes] = [found[5], ...found.slice(1, 5)].map(Number);
  if (bits > 32 || bytes.some((byte) => byte > 255)) return undefined;
  return { first: bytes.reduce((sum, byte) => sum * 256 + byte, 0), count: 2 ** (32 - bits) };
}

function isWithinRange(inner: AddressRange, outer: AddressRange | undefined): boolean {
  return outer !== undefined && inner.first >= outer.first && inner.first + inner.count <= outer.first + outer.count;
}
