import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type Link, LINK_BITS } from '../../domain/subnet.ts';
import type { Namespace } from './namespaces.ts';

/** Name of an instance's own end. */
const OWN_DEVICE = 'eth0';

/** Whether a device of the host has gone: it goes by itself a moment after its network, and its name can be given again only then. */
export function isDeviceGone(device: string): boolean {
  return !readFileSync('/proc/net/dev', 'latin1').includes(`${device}:`);
}

/**
 * Ties a new network to the host by a pair of devices, with a default route through the host. Without addresses of IPv6: by them the host would
 * be reached past its rules. Throws what `ip` says. The host's end goes with the network.
 */
export async function tieToHost(ip: string, space: Namespace, link: Link): Promise<void> {
  const { device, hostAddress, ownAddress } = link;
  const ofHost = [
    `link add dev ${device} type veth peer name ${OWN_DEVICE} netns ${space.path}`,
    `link set dev ${device} addrgenmode none`,
    `address add ${hostAddress}/${LINK_BITS} dev ${device}`,
    `link set dev ${device} up`,
  ];
  const ofInstance = [
    `link set dev ${OWN_DEVICE} addrgenmode none`,
    `address add ${ownAddress}/${LINK_BITS} dev ${OWN_DEVICE}`,
    `link set dev ${OWN_DEVICE} up`,
    `route add default via ${hostAddress}`,
  ];
  await run(ip, ofHost, (start) => start());
  await run(ip, ofInstance, (start) => space.enter(start));
}

type Child = ReturnType<typeof begin>;

function run(ip: string, lines: readonly string[], where: (start: () => Child) => Child): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = where(() => begin(ip));
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
    child.stdin.on('error', () => undefined); // its exit is the news
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`ip: ${said.trim() || `it ended with ${code ?? 'a signal'}`}`));
    });
    child.stdin.end(`${lines.join('\n')}\n`);
  });
}

function begin(ip: string) {
  return spawn(ip, ['-batch', '-'], { stdio: ['pipe', 'ignore', 'pipe'], env: {} });
}
