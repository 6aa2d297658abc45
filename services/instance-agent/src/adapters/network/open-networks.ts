import { readFileSync } from 'node:fs';
import { type Link, linkPool, rangeText, subnetOf } from '../../domain/subnet.ts';
import type { Networks } from '../../ports.ts';
import { claimSubnet, type HoldAddresses } from './claim-subnet.ts';
import { type ConnectionOwners, findConnectionOwners } from './connection-owners.ts';
import { type Libc, openLibc } from './libc.ts';
import { type Namespace, openNamespaces } from './namespaces.ts';
import { tryLink, tryLoopback } from './network-trial.ts';
import { ownNetwork } from './own-network.ts';
import { readyNetworks } from './ready-networks.ts';
import { isDeviceGone, tieToHost } from './veth.ts';
import { openWayOut } from './way-out.ts';

export type NetworkTerms = {
  /** `a.b.c.d/bits`, for networks with a way out. */
  readonly subnet: string;
  /** Finds a program of this host. */
  readonly find: (name: string) => string | undefined;
  /** Whether this host may be made to pass packets on; else it is only looked whether it could be. */
  readonly mayForward: boolean;
  /** Private ranges, `a.b.c.d/bits`, that functions may reach all the same. */
  readonly allowed: readonly string[];
  /** Claims addresses among the agents of this host. */
  readonly hold: HoldAddresses;
};

export type OpenedNetworks = {
  readonly networks: Networks;
  /** What was changed on this host, for its operator. */
  readonly notes: readonly string[];
};

/** What has to be undone, the last thing first. */
type Undo = (() => void | Promise<void>)[];

/** Networks with nothing in them but their loopback, one for each instance. Throws in words where they cannot be made. */
export function openClosedNetworks(): Promise<OpenedNetworks> {
  return undoing(async (undo) => {
    const { libc, spaces, owners } = await open(undo);
    const make = () => Promise.resolve(ownNetwork(libc, owners, spaces.make(), () => undefined));
    const first = await make();
    await tryLoopback(first).finally(first.close);
    const detail = 'every instance has a network of its own, with nothing in it but its loopback';
    return { networks: networksOf(make, detail, undo), notes: [] };
  });
}

/** Networks with a way out through this host, one for each instance. Throws in words where they cannot be made. */
export function openPrivateNetworks({ subnet, find, mayForward, allowed, hold }: NetworkTerms): Promise<OpenedNetworks> {
  return undoing(async (undo) => {
    subnetOf(subnet); // what cannot be read is said first, whatever else is missing
    const [ip, nft] = [find('ip'), find('nft')];
    if (ip === undefined) throw new Error('ip (iproute2) is not installed');
    if (nft === undefined) throw new Error('nft (nftables) is not installed');
    const { libc, spaces, owners } = await open(undo);
    const share = await claimSubnet(subnet, hold);
    undo.push(share.release);
    const links = linkPool(share);
    const wayOut = openWayOut(nft, share, { mayForward, allowed, nameServers: nameServers().reachable });
    undo.push(wayOut.close);
    const tied = async (link: Link) => {
      let space: Namespace | undefined;
      try {
        space = spaces.make();
        await tieToHost(ip, space, link);
        return space;
      } catch (error) {
        space?.close();
        link.release();
        throw error;
      }
    };
    const make = async () => {
      const link = links.take(isDeviceGone);
      if (!link) return { statusCode: 449, message: 'Every address of this host’s agent is taken: EVENFALL_AGENT_SUBNET' };
      return ownNetwork(libc, owners, await tied(link), link.release);
    };
    await tryPrivate(libc, owners, links.take(isDeviceGone), tied);
    const detail = `every instance has a network of its own, with a way out through this host from ${rangeText(share)}${namesFault()}`;
    const notes =
      wayOut.switchedOn && mayForward
        ? ['This host passes packets on from now on (net.ipv4.ip_forward): functions have a way out through it']
        : [];
    return { networks: networksOf(make, detail, undo), notes };
  });
}

async function open(undo: Undo) {
  const libc = await openLibc();
  const spaces = openNamespaces(libc);
  undo.push(spaces.close);
  try {
    spaces.make().close();
  } catch (error) {
    throw new Error(`the agent may not make networks and enter them (root, CAP_SYS_ADMIN): ${textOf(error)}`, { cause: error });
  }
  return { libc, spaces, owners: await findConnectionOwners() };
}

async function tryPrivate(
  libc: Libc,
  owners: ConnectionOwners,
  link: Link | undefined,
  tied: (link: Link) => Promise<Namespace>,
): Promise<void> {
  if (!link) throw new Error('devices of another agent have all its addresses');
  const space = await tied(link);
  const network = ownNetwork(libc, owners, space, link.release);
  try {
    await tryLoopback(network);
    await tryLink(libc, space, link.ownAddress);
  } finally {
    network.close();
  }
}

function networksOf(make: Parameters<typeof readyNetworks>[0], detail: string, undo: Undo): Networks {
  const ready = readyNetworks(make);
  return {
    ability: { name: 'own-network', available: true, detail },
    open: ready.open,
    async close() {
      await ready.close();
      await undoAll(undo);
    },
  };
}

async function undoing<T>(action: (undo: Undo) => Promise<T>): Promise<T> {
  const undo: Undo = [];
  try {
    return await action(undo);
  } catch (error) {
    await undoAll(undo);
    throw error;
  }
}

/** All of it, whatever comes of each; throws what the first one said that could not be undone. */
async function undoAll(undo: Undo): Promise<void> {
  const faults: unknown[] = [];
  for (const each of undo.splice(0).reverse()) {
    try {
      await each();
    } catch (error) {
      faults.push(error);
    }
  }
  if (faults.length > 0) throw faults[0];
}

/** Those of the host, and which of them another network reaches: not one on the host's loopback. */
function nameServers(): { readonly all: string[]; readonly reachable: string[] } {
  let text = '';
  try {
    text = readFileSync('/etc/resolv.conf', 'utf8');
  } catch {
    // without it the loopback is asked too (resolv.conf(5))
  }
  const all = [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, server]) => server ?? '');
  return { all, reachable: all.filter((server) => /^\d+(\.\d+){3}$/.test(server) && !server.startsWith('127.')) };
}

function namesFault(): string {
  const { all, reachable } = nameServers();
  if (reachable.length > 0) return '';
  const what = all.length === 0 ? 'no server' : `${all.join(', ')}, which it cannot reach`;
  return `; names cannot be looked up in it: /etc/resolv.conf names ${what}`;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
