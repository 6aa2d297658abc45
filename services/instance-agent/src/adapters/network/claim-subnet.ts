import { readFileSync } from 'node:fs';
import { type AddressRange, DEVICE_PREFIX, overlap, rangeText, sharesOf, subnetOf } from '../../domain/subnet.ts';

/** Claims addresses among the agents of this host; undefined if another one has any of them. */
export type HoldAddresses = (range: AddressRange) => Promise<(() => void) | undefined>;

export type ClaimedSubnet = AddressRange & { release(): void };

/**
 * Takes a share of a subnet that no other agent of this host has, for as long as this process lives. Throws, in a sentence, if the setting cannot
 * be read, the host reaches others by such addresses, or all shares are taken.
 */
export async function claimSubnet(text: string, hold: HoldAddresses): Promise<ClaimedSubnet> {
  const subnet = subnetOf(text);
  const route = routes().find((each) => overlap(each, subnet));
  if (route) throw new Error(`EVENFALL_AGENT_SUBNET: ${text} is in use: this host reaches ${rangeText(route)} by ${route.device}`);
  for (const share of sharesOf(subnet)) {
    const release = await hold(share);
    if (release) return { ...share, release };
  }
  throw new Error(`EVENFALL_AGENT_SUBNET: other agents of this host have all of ${text}`);
}

/** Where this host sends packets, but for the way to everywhere and to instances: little-endian hexadecimal numbers (proc_pid_net(5), `route`). */
function routes(): (AddressRange & { readonly device: string })[] {
  return readFileSync('/proc/net/route', 'latin1')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .flatMap(([device = '', destination = '', , , , , , mask = '']) => {
      const count = 2 ** 32 - numberOf(mask);
      if (device === '' || count === 2 ** 32 || device.startsWith(DEVICE_PREFIX)) return [];
      return [{ device, first: numberOf(destination), count }];
    });
}

function numberOf(hex: string): number {
  return Buffer.from(hex.padStart(8, '0'), 'hex').readUInt32LE(0);
}
