import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync, writeFileSync } from 'node:fs';
import { type AddressRange, addressText, DEVICE_PREFIX, rangeText } from '../../domain/subnet.ts';

const FORWARDING = '/proc/sys/net/ipv4/ip_forward';
const WITHIN_MS = 20_000;

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
export function openWayOut(nft: string, share: AddressRange, mayForward: boolean): WayOut {
  const switchedOn = readFileSync(FORWARDING, 'latin1').trim() === '0';
  if (switchedOn) forward(mayForward);
  const name = `evenfall_${addressText(share.first).replaceAll('.', '_')}`;
  const removal = `table ip ${name}\ndelete table ip ${name}\n`;
  const devices = `"${DEVICE_PREFIX}*"`;
  tell(
    nft,
    `${removal}table ip ${name} {
  chain passing {
    type filter hook forward priority filter; policy accept;
    iifname ${devices} oifname ${devices} counter drop
    oifname ${devices} ct state new counter drop
  }
  chain leaving {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${rangeText(share)} oifname != ${devices} masquerade
  }
}
`,
  );
  return { switchedOn, close: () => tell(nft, removal) };
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
