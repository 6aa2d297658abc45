import { type AddressRange, overlap, rangeText, sharesOf, subnetOf } from '../../domain/subnet.ts';
import { routes } from './routes.ts';

/** Claims numbers of a kind among the agents of this host; undefined if another one has any of them. */
export type ClaimNumbers = (kind: 'addresses' | 'forwarding', range: AddressRange) => Promise<(() => Promise<void>) | undefined>;

export type ClaimedSubnet = AddressRange & { release(): Promise<void> };

/**
 * Claims a share of a subnet that no other agent of this host has, for as long as this process lives. Throws if the setting cannot
 * be read, the host reaches others by such addresses, or all shares are claimed.
 */
export async function claimSubnet(text: string, hold: ClaimNumbers): Promise<ClaimedSubnet> {
  const subnet = subnetOf(text);
  const route = routes().find((each) => each.count < 2 ** 32 && overlap(each, subnet));
  if (route) throw new Error(`EVENFALL_AGENT_SUBNET: ${text} is in use: this host reaches ${rangeText(route)} by ${route.device}`);
  for (const share of sharesOf(subnet)) {
    const release = await hold('addresses', share);
    if (release) return { ...share, release };
  }
  throw new Error(`EVENFALL_AGENT_SUBNET: other agents of this host have all of ${text}`);
}
