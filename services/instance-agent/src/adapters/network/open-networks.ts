import { isIPv4 } from 'node:net';
import { totalmem } from 'node:os';
import type { StartFault } from '../../domain/instance-life.ts';
import { type Link, LINK_ADDRESSES, linkPool, rangeText, subnetOf } from '../../domain/subnet.ts';
import type { InstanceNetwork, Networks } from '../../ports.ts';
import { claimSubnet, type ClaimNumbers } from './claim-subnet.ts';
import { type Libc, openLibc } from './libc.ts';
import { type HostNames, readHostNames } from './names/host-servers.ts';
import { limitQuestions } from './names/limit-questions.ts';
import { NAMES_ADDRESS, openNames } from './names/names.ts';
import { type NetworkServer, openNetworkServer, type Space } from './network-server.ts';
import { tryLink, tryLoopback, tryStart } from './network-trial.ts';
import { ownNetwork } from './own-network.ts';
import { readyNetworks } from './ready-networks.ts';
import { forgetConnectionsOf, isDeviceGone, makeClosed, linkToHost, unlinkFromHost } from './link-to-host.ts';
import { openOutboundAccess } from './outbound-access.ts';

export type NetworkOptions = {
  /** The program that makes networks. */
  readonly launcher: string;
  /** `a.b.c.d/bits`, for networks with a way out. */
  readonly subnet: string;
  /** Private ranges, `a.b.c.d/bits`, that functions may reach all the same. */
  readonly allowed: readonly string[];
  /** Whether functions see a `resolv.conf` that is made for them, not the host's. */
  readonly ownResolvConf: boolean;
  /** Claims numbers among the agents of this host. */
  readonly hold: ClaimNumbers;
  /** Megabytes of memory for instances. */
  readonly capacityMb: number;
  /** Where the agents of this host note the devices that they have switched to forwarding. */
  forwardingFile(): string;
  onFault(text: string, error: unknown): void;
};

export type OpenedNetworks = {
  readonly networks: Networks;
  /** What was changed on this host, for its operator. */
  readonly notes: readonly string[];
};

/** Memory of the smallest function. */
const LEAST_MB = 64;

/** What has to be undone, the last thing first. */
type Undo = (() => void | Promise<void>)[];

/** Networks with nothing in them but their loopback, one for each instance. Throws where they cannot be made. */
export function openClosedNetworks({ launcher }: Pick<NetworkOptions, 'launcher'>): Promise<OpenedNetworks> {
  return undoing(async (undo) => {
    const isRoot = process.geteuid?.() === 0;
    // Without CAP_NET_ADMIN root has it in a user namespace alone.
    const opened = isRoot ? await open(launcher, 'HOST', undo).catch(() => undefined) : undefined;
    const { libc, server } = opened ?? (await open(launcher, 'USER_NAMESPACE', undo));
    const make = async () => ownNetwork(libc, server, await makeClosed(server), { resolvConf: undefined, onClose: () => undefined });
    const first = await make();
    try {
      await tryLoopback(first);
      await tryStart(launcher, first);
    } finally {
      first.close();
    }
    return { networks: networksOf(make, 'every instance has a network of its own, with nothing in it but its loopback', undo), notes: [] };
  });
}

/** Networks with access to the outside through this host, one for each instance. Throws where they cannot be made. */
export function openPrivateNetworks(terms: NetworkOptions): Promise<OpenedNetworks> {
  return undoing(async (undo) => {
    subnetOf(terms.subnet); // a setting that cannot be read is reported first, whatever else is missing
    if (process.geteuid?.() !== 0) throw new Error('outbound access needs root with CAP_NET_ADMIN');
    const { libc, server } = await open(terms.launcher, 'HOST', undo);
    const share = await claimSubnet(terms.subnet, terms.hold);
    undo.push(share.release);
    // Of all agents of this host, which have its memory between them.
    const hostMb = Math.max(terms.capacityMb, totalmem() / 2 ** 20);
    const mostInstances = Math.min(subnetOf(terms.subnet).count / LINK_ADDRESSES, Math.ceil(hostMb / LEAST_MB));
    const outbound = await openOutboundAccess(server, share, { ...terms, forwardingFile: terms.forwardingFile(), mostInstances });
    undo.push(outbound.close);
    const names = openNames(server, (error) => terms.onFault('The thread that looks up names for functions ended', error));
    undo.push(names.close);
    const addresses = terms.ownResolvConf ? [NAMES_ADDRESS] : readHostNames().servers.filter(isIPv4);
    const links = linkPool(share);
    const untying = new Set<Promise<void>>();
    undo.push(async () => {
      await Promise.all(untying);
    });
    /** A link that could not be removed is not used from then on. */
    const untie = (link: Link): void => {
      const done: Promise<void> = unlinkFromHost(server, link)
        .then(link.release, (error: unknown) => terms.onFault(`The network of ${link.ownAddress} could not be removed`, error))
        .finally(() => untying.delete(done));
      untying.add(done);
    };
    /** Devices whose addresses this agent has had before; of others the host may remember connections of an agent that was killed. */
    const known = new Set<string>();
    const tied = async (link: Link) => {
      let space: Space | undefined;
      try {
        if (!known.has(link.device)) await forgetConnectionsOf(server, link.ownAddress);
        known.add(link.device);
        space = await makeClosed(server, addresses);
        await linkToHost(server, space, link);
        await limitQuestions(server, space);
        return { space, endNames: await names.serve(space, addresses) };
      } catch (error) {
        if (space) server.release(space);
        untie(link);
        throw error;
      }
    };
    const make = async (): Promise<InstanceNetwork | StartFault> => {
      const link = links.claim(isDeviceGone);
      if (!link) return { statusCode: 449, message: 'Every address of this host’s agent is in use: EVENFALL_AGENT_SUBNET' };
      const { space, endNames } = await tied(link);
      return ownNetwork(libc, server, space, {
        resolvConf: terms.ownResolvConf ? resolvConfText(readHostNames()) : undefined,
        onClose() {
          endNames();
          untie(link);
        },
      });
    };
    await tryPrivate(libc, server, links.claim(isDeviceGone), tied, untie);
    // Without mounts functions see the host's file, and are answered at the addresses that it names.
    const missing = addresses.length === 0 ? '; names cannot be looked up in it, for the host’s resolv.conf names no server of IPv4' : '';
    const detail = `every instance has a network of its own, with a way out through this host from ${rangeText(share)}, of ${outbound.connections.each} connections at most${missing}`;
    const on = outbound.switchedOn.join(', ');
    const notes = on === '' ? [] : [`${on} passes on from now on what instances send and get (net.ipv4.conf), and nothing else`];
    const { each, isSafe } = outbound.connections;
    if (!isSafe)
      notes.push(
        `${mostInstances} instances with ${each} connections each can fill this host’s table of connections, and then no connection of the host can be made: raise net.netfilter.nf_conntrack_max, or lower EVENFALL_AGENT_CAPACITY_MB`,
      );
    return { networks: networksOf(make, detail, undo), notes };
  });
}

/** What a function sees: the server is the agent's, the manner of asking the host's. */
function resolvConfText({ manner }: HostNames): string {
  return [`nameserver ${NAMES_ADDRESS}`, ...manner, ''].join('\n');
}

async function open(launcher: string, within: 'HOST' | 'USER_NAMESPACE', undo: Undo) {
  const libc = await openLibc();
  try {
    const server = await openNetworkServer(libc, launcher, within);
    try {
      server.release(await makeClosed(server));
    } catch (error) {
      server.close();
      throw error;
    }
    undo.push(server.close);
    return { libc, server };
  } catch (error) {
    const needs = process.geteuid?.() === 0 ? 'CAP_SYS_ADMIN' : 'user namespaces';
    throw new Error(`the agent may not make networks (${needs}): ${textOf(error)}`, { cause: error });
  }
}

async function tryPrivate(
  libc: Libc,
  server: NetworkServer,
  link: Link | undefined,
  tied: (link: Link) => Promise<{ readonly space: Space; endNames(): void }>,
  untie: (link: Link) => void,
): Promise<void> {
  if (!link) throw new Error('devices of another agent have all its addresses');
  const { space, endNames } = await tied(link);
  const onClose = (): void => {
    endNames();
    untie(link);
  };
  const network = ownNetwork(libc, server, space, { resolvConf: undefined, onClose });
  try {
    await tryLoopback(network);
    await tryLink(server, space, link.ownAddress);
  } finally {
    network.close();
  }
}

function networksOf(make: Parameters<typeof readyNetworks>[0], detail: string, undo: Undo): Networks {
  const ready = readyNetworks(make);
  return {
    abilities: [{ name: 'own-network', available: true, detail }],
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
    await undoAll(undo).catch(() => undefined); // the first error is the one to report
    throw error;
  }
}

/** Undoes all, whatever fails; throws the first error. */
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

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
