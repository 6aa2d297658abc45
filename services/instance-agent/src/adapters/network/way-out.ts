import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync, writeFileSync } from 'node:fs';
import { type AddressRange, addressText, DEVICE_PREFIX, rangeText } from '../../domain/subnet.ts';

const FORWARDING = '/proc/sys/net/ipv4/ip_forward';
const WITHIN_MS = 20_000;

/** What is somebody's own: private networks, what is on the link, such as a cloud's metadata, and what is nobody's (RFC 1918, 6598, 3927, 5771). */
const CLOSED = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '169.254.0.0/16', '127.0.0.0/8', '224.0.0.0/4'];

export type WayOutTerms = {
  /** Whether this host may be made to pass packets on; else it is only looked whether it could be. */
  readonly mayForward: boolean;
  /** Private ranges that functions may reach all the same, `a.b.c.d/bits`. */
  readonly allowed: readonly string[];
  /** Addresses that are asked for names, wherever they are. */
  readonly nameServers: readonly string[];
};

export type WayOut = {
  /** Whether packets were not passed on by this host before. */
  readonly switchedOn: boolean;
  /** Takes the rules away. Forwarding stays as it is: others may have come to need it. */
  close(): void;
};

/**
 * Lets instances out through this host, in its name, and keeps them from each other. The table is named after the share of the subnet, which is
 * this agent's alone: one that is there already was left by an agent that was killed. Throws in words.
 */
export function openWayOut(nft: string, share: AddressRange, { mayForward, allowed, nameServers }: WayOutTerms): WayOut {
  const switchedOn = readFileSync(FORWARDING, 'latin1').trim() === '0';
  if (switchedOn) forward(mayForward);
  const name = `evenfall_${addressText(share.first).replaceAll('.', '_')}`;
  const removal = `table ip ${name}\ndelete table ip ${name}\n`;
  tell(nft, `${removal}${tableText(name, share, { allowed, nameServers })}`);
  return { switchedOn, close: () => tell(nft, removal) };
}

/** What comes from an instance goes neither to another one, nor to this host, nor to what is somebody's own; nobody begins a connection to it. */
function tableText(name: string, share: AddressRange, { allowed, nameServers }: Pick<WayOutTerms, 'allowed' | 'nameServers'>): string {
  const devices = `"${DEVICE_PREFIX}*"`;
  const opened = [
    ...nameServers.map((server) => `iifname ${devices} ip daddr ${server} meta l4proto { tcp, udp } th dport 53 accept`),
    ...allowed.map((range) => `iifname ${devices} ip daddr ${range} accept`),
  ];
  return `table ip ${name} {
  chain passing {
    type filter hook forward priority filter; policy accept;
    iifname ${devices} oifname ${devices} counter drop
    oifname ${devices} ct state new counter drop
    ${opened.join('\n    ')}
    iifname ${devices} ip daddr { ${CLOSED.join(', ')} } counter drop
  }
  chain entering {
    type filter hook input priority filter; policy accept;
    iifname ${devices} ct state established,related accept
    iifname ${devices} counter drop
  }
  chain leaving {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${rangeText(share)} oifname != ${devices} masquerade
  }
}
`;
}

function forward(mayForward: boolean): void {
  try {
    if (mayForward) writeFileSync(FORWARDING, '1');
    else accessSync(FORWARDING, constants.W_OK);
  } catch (error) {
    throw new Error(`this host does not pass packets on, and the agent may not change that (sysctl net.ipv4.ip_forward=1)`, {
      cause: error,
    });
  }
}

/** All of it is done, or nothing. */
function tell(nft: string, commands: string): void {
  const done = spawnSync(nft, ['-f', '-'], { input: commands, encoding: 'utf8', timeout: WITHIN_MS, env: {} });
  if (done.status === 0) return;
  const said = done.stderr?.trim().split('\n')[0] || (done.error?.message ?? 'it was killed');
  throw new Error(`nft does not take the rules (root, CAP_NET_ADMIN): ${said}`);
}
