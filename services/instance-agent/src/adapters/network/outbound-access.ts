import { readFileSync } from 'node:fs';
import { type ConnectionShare, connectionShare } from '../../domain/connection-share.ts';
import { type AddressRange, addressText, DEVICE_PREFIX, deviceOf, overlap, readRange } from '../../domain/subnet.ts';
import type { ClaimNumbers } from './claim-subnet.ts';
import { openForwarding } from './forwarding.ts';
import { readAnswers, uint32be } from './netlink/message.ts';
import {
  accept,
  address,
  connection,
  device,
  deviceBetween,
  drop,
  type Expression,
  findTable,
  HOOKS,
  markWithSource,
  masquerade,
  moreConnectionsThan,
  NETFILTER_PROTOCOL,
  noConnection,
  replaceTable,
  type TableChain,
} from './netlink/rules.ts';
import { HOME, type NetworkServer } from './network-server.ts';
import { routes } from './routes.ts';

/**
 * Ranges that functions may not reach: private networks, what is on the link, such as a cloud's metadata, and reserved ones (RFC 1122, 1918, 6598, 3927, 6890,
 * 5771, 1112, 2544).
 */
const CLOSED = [
  ...['0.0.0.0/8', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '192.0.0.0/24', '198.18.0.0/15'],
  ...['169.254.0.0/16', '127.0.0.0/8', '224.0.0.0/4', '240.0.0.0/4'],
  '168.63.129.16/32', // of the Internet's range, and only on the link: where Azure serves its machines settings, certificates among them
];

/** Set of the instances that have connections. */
const CONNECTIONS = 'connections';
/** Size of the table in which the kernel remembers the connections of all of a host: it accepts no new ones once that is full. */
const MOST_TRACKED = '/proc/sys/net/netfilter/nf_conntrack_max';
/** Where the kernel does not report it: the least that kernels have. */
const FEW_TRACKED = 65_536;

/** Between looks for new devices that lead outside, and for the rules: a short file and a message of the kernel's. */
const LOOK_MS = 1_000;

export type OutboundAccessOptions = {
  /** Private ranges that functions may reach all the same, `a.b.c.d/bits`. */
  readonly allowed: readonly string[];
  /** Where the agents of this host note what they have switched on. */
  readonly forwardingFile: string;
  readonly hold: ClaimNumbers;
  /** How many instances there can be at once. */
  readonly mostInstances: number;
  onFault(text: string, error: unknown): void;
};

export type OutboundAccess = {
  /** Devices that passed nothing on before. */
  readonly switchedOn: readonly string[];
  /** Connections to the outside that an instance may have. */
  readonly connections: ConnectionShare;
  /** Removes the rules, and switches back what agents have switched on where no other agent needs it. */
  close(): Promise<void>;
};

/**
 * Lets instances out through this host, in its name, and keeps them from each other. The table is named after the share of the subnet, which is
 * this agent's alone: one that is there already was left by an agent that was killed. Throws where it cannot be set up.
 */
export async function openOutboundAccess(
  server: NetworkServer,
  share: AddressRange,
  terms: OutboundAccessOptions,
): Promise<OutboundAccess> {
  const { allowed, forwardingFile, hold, onFault } = terms;
  const table = `evenfall_${addressText(share.first).replaceAll('.', '_')}`;
  const ranges = allowed.map(readRange);
  const applyRules = async (chains: readonly TableChain[] | undefined): Promise<void> => {
    readAnswers('rules of nf_tables', await server.netlink(HOME, NETFILTER_PROTOCOL, replaceTable(table, chains, [CONNECTIONS])));
  };
  const connections = connectionShare(mostTracked(), terms.mostInstances);
  const chains = (): TableChain[] => chainsOf(share, ranges, forwarding.noted(), connections.each);
  const forwarding = await openForwarding(server, forwardingFile, share, hold);
  const isInPlace = async (): Promise<boolean> => {
    try {
      readAnswers('rules of nf_tables', await server.netlink(HOME, NETFILTER_PROTOCOL, findTable(table)));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    }
  };
  const look = async (): Promise<string[]> => {
    // A firewall of the host that is restarted may flush all rules: without them instances reach the host and each other.
    if (!(await isInPlace())) {
      await applyRules(chains());
      onFault('The rules that keep functions apart were gone, and were put back', new Error(`the table ${table} was removed`));
    }
    const missing = forwarding.missing(uplinks(ranges));
    if (missing.length === 0) return [];
    // First the rules: this host must not route for other machines at any time.
    forwarding.note(missing);
    await applyRules(chains());
    await forwarding.switchOn(missing);
    return missing;
  };
  let looking = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  const close = async (): Promise<void> => {
    clearInterval(timer);
    await looking;
    await forwarding.close();
    await applyRules(undefined);
  };
  try {
    await applyRules(chains());
    const switchedOn = await look();
    // A host may get other devices at any time: a network that is joined, a tunnel.
    timer = setInterval(() => {
      looking = looking.then(look).then(
        () => undefined,
        (error: unknown) => onFault('A device could not be made to pass on what instances send', error),
      );
    }, LOOK_MS).unref();
    return { switchedOn, connections, close };
  } catch (error) {
    await close().catch(() => undefined); // the first error is the one to report
    throw error;
  }
}

function mostTracked(): number {
  try {
    return Number(readFileSync(MOST_TRACKED, 'latin1')) || FEW_TRACKED;
  } catch {
    return FEW_TRACKED;
  }
}

/** Devices by which this host reaches what is not closed: the default route, a range that was opened, or a part of the Internet. */
function uplinks(ranges: readonly AddressRange[]): string[] {
  const closed = CLOSED.map(readRange);
  const isClosed = ({ first, count }: AddressRange): boolean =>
    closed.some((range) => range.first <= first && first + count <= range.first + range.count);
  const isWanted = (route: AddressRange): boolean => !isClosed(route) || ranges.some((range) => overlap(route, range));
  const devices = routes().filter((route) => route.device !== 'lo' && isWanted(route));
  return [...new Set(devices.map((route) => route.device))].sort();
}

/** What comes from an instance goes neither to another one, nor to this host, nor to a closed range; no other host begins a connection to it. */
function chainsOf(
  share: AddressRange,
  allowed: readonly AddressRange[],
  switchedOn: readonly string[],
  mostConnections: number,
): TableChain[] {
  const fromInstance = device('IN', DEVICE_PREFIX, 'BEGINS');
  const fromOwn = deviceBetween('IN', deviceOf(share.first), deviceOf(share.first + share.count - 1));
  const to = (range: AddressRange): Expression[] => address('DESTINATION', uint32be(range.first), bitsOf(range));
  return [
    {
      name: 'passing',
      hook: HOOKS.FORWARD,
      rules: [
        [...fromInstance, ...device('OUT', DEVICE_PREFIX, 'BEGINS'), ...drop],
        // Not only what begins a connection: a packet of no known connection is no answer either.
        [...device('OUT', DEVICE_PREFIX, 'BEGINS'), ...noConnection('ESTABLISHED', 'RELATED'), ...drop],
        // What is not translated would leave under an address that is not this host's.
        [...fromInstance, ...noConnection('NEW', 'ESTABLISHED', 'RELATED'), ...drop],
        [...fromInstance, ...connection('NEW'), ...markWithSource()],
        [...fromOwn, ...connection('NEW'), ...moreConnectionsThan(CONNECTIONS, mostConnections), ...drop],
        // Those that pass on for the sake of instances pass on nothing else.
        ...switchedOn.map((name) => [...device('IN', name, 'IS'), ...device('OUT', DEVICE_PREFIX, 'BEGINS_NOT'), ...drop]),
        // Other agents of this host have other settings: each has rules for its own instances alone.
        ...allowed.map((range) => [...fromOwn, ...to(range), ...accept]),
        ...CLOSED.map((range) => [...fromOwn, ...to(readRange(range)), ...drop]),
      ],
    },
    {
      name: 'entering',
      hook: HOOKS.INPUT,
      rules: [
        [...fromInstance, ...connection('ESTABLISHED', 'RELATED'), ...accept],
        [...fromInstance, ...drop],
      ],
    },
    {
      name: 'leaving',
      hook: HOOKS.LEAVING,
      rules: [[...address('SOURCE', uint32be(share.first), bitsOf(share)), ...device('OUT', DEVICE_PREFIX, 'BEGINS_NOT'), ...masquerade]],
    },
  ];
}

function bitsOf({ count }: AddressRange): number {
  return 32 - Math.log2(count);
}
