import { readFileSync } from 'node:fs';
import { type ConnectionShare, connectionShare } from '../../domain/connection-share.ts';
import { type AddressRange, addressText, DEVICE_PREFIX, deviceOf, overlap, readRange } from '../../domain/subnet.ts';
import type { HoldNumbers } from './claim-subnet.ts';
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
 * What is somebody's own: private networks, what is on the link, such as a cloud's metadata, and what is nobody's (RFC 1122, 1918, 6598, 3927, 6890,
 * 5771, 1112, 2544).
 */
const CLOSED = [
  ...['0.0.0.0/8', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '192.0.0.0/24', '198.18.0.0/15'],
  ...['169.254.0.0/16', '127.0.0.0/8', '224.0.0.0/4', '240.0.0.0/4'],
  '168.63.129.16/32', // of the Internet's range, and only on the link: what Azure tells its machines, certificates among it
];

/** Set of the instances that have connections. */
const CONNECTIONS = 'connections';
/** Size of the table in which the kernel remembers the connections of all of a host: it takes nobody's once that is full. */
const MOST_TRACKED = '/proc/sys/net/netfilter/nf_conntrack_max';
/** Where it is not said: the least that kernels have. */
const FEW_TRACKED = 65_536;

/** Between looks for new devices that lead outside, and for the rules: a short file and a message of the kernel's. */
const LOOK_MS = 1_000;

export type WayOutTerms = {
  /** Private ranges that functions may reach all the same, `a.b.c.d/bits`. */
  readonly allowed: readonly string[];
  /** Where the agents of this host note what they have switched on. */
  readonly forwardingFile: string;
  readonly hold: HoldNumbers;
  /** How many instances there can be at once. */
  readonly mostInstances: number;
  onFault(text: string, error: unknown): void;
};

export type WayOut = {
  /** Devices that passed nothing on before. */
  readonly switchedOn: readonly string[];
  /** Connections to the outside that an instance may have. */
  readonly connections: ConnectionShare;
  /** Takes the rules away, and switches back what agents have switched on where no other agent needs it. */
  close(): Promise<void>;
};

/**
 * Lets instances out through this host, in its name, and keeps them from each other. The table is named after the share of the subnet, which is
 * this agent's alone: one that is there already was left by an agent that was killed. Throws in words.
 */
export async function openWayOut(server: NetworkServer, share: AddressRange, terms: WayOutTerms): Promise<WayOut> {
  const { allowed, forwardingFile, hold, onFault } = terms;
  const table = `evenfall_${addressText(share.first).replaceAll('.', '_')}`;
  const ranges = allowed.map(readRange);
  const tell = async (chains: readonly TableChain[] | undefined): Promise<void> => {
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
    // A firewall of the host that is begun anew may flush everybody's rules: without them instances reach the host and each other.
    if (!(await isInPlace())) {
      await tell(chains());
      onFault('The rules that keep functions apart were gone, and were put back', new Error(`somebody removed the table ${table}`));
    }
    const missing = forwarding.missing(uplinks(ranges));
    if (missing.length === 0) return [];
    // First the rules: this host is to be no router for anybody else, at no time.
    forwarding.note(missing);
    await tell(chains());
    await forwarding.switchOn(missing);
    return missing;
  };
  let looking = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  const close = async (): Promise<void> => {
    clearInterval(timer);
    await looking;
    await forwarding.close();
    await tell(undefined);
  };
  try {
    await tell(chains());
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
    await close().catch(() => undefined); // what went wrong first is the news
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

/** Devices by which this host reaches what is not closed: everybody, a range that was opened, or a part of the Internet. */
function uplinks(ranges: readonly AddressRange[]): string[] {
  const closed = CLOSED.map(readRange);
  const isClosed = ({ first, count }: AddressRange): boolean =>
    closed.some((range) => range.first <= first && first + count <= range.first + range.count);
  const isWanted = (route: AddressRange): boolean => !isClosed(route) || ranges.some((range) => overlap(route, range));
  const devices = routes().filter((route) => route.device !== 'lo' && isWanted(route));
  return [...new Set(devices.map((route) => route.device))].sort();
}

/** What comes from an instance goes neither to another one, nor to this host, nor to what is somebody's own; nobody begins a connection to it. */
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
        // Not only what begins a connection: what belongs to none is nobody's answer either.
        [...device('OUT', DEVICE_PREFIX, 'BEGINS'), ...noConnection('ESTABLISHED', 'RELATED'), ...drop],
        // What is not translated would leave under an address that is not this host's.
        [...fromInstance, ...noConnection('NEW', 'ESTABLISHED', 'RELATED'), ...drop],
        [...fromInstance, ...connection('NEW'), ...markWithSource()],
        [...fromOwn, ...connection('NEW'), ...moreConnectionsThan(CONNECTIONS, mostConnections), ...drop],
        // Those that pass on for the sake of instances pass on nothing else.
        ...switchedOn.map((name) => [...device('IN', name, 'IS'), ...device('OUT', DEVICE_PREFIX, 'BEGINS_NOT'), ...drop]),
        // Other agents of this host have other settings: each has its word on its own instances.
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
