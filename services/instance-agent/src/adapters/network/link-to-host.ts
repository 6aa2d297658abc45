import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { type Link, LINK_BITS } from '../../domain/subnet.ts';
import {
  addAddress,
  addDefaultRoute,
  createPair,
  deleteLink,
  findLink,
  LOOPBACK_INDEX,
  raise,
  raiseLoopback,
  readIndex,
  ROUTE_PROTOCOL,
} from './netlink/links.ts';
import { forgetConnections } from './netlink/connections.ts';
import { readAnswers } from './netlink/message.ts';
import { NETFILTER_PROTOCOL } from './netlink/rules.ts';
import { HOME, type NetworkServer, type Space } from './network-server.ts';

/** Name of an instance's own end. */
const OWN_DEVICE = 'eth0';
/** Between looks whether a device has gone, twice as long each time: a second in all. */
const [FIRST_LOOK_MS, LAST_LOOK_MS] = [32, 512] as const;

/** Whether a device of the host is gone: it goes by itself a moment after its network, and its name can be used again only then. */
export function isDeviceGone(device: string): boolean {
  return !readFileSync('/proc/net/dev', 'latin1').includes(`${device}:`);
}

/** A network with nothing in it but its loopback, which is on and has more addresses where some are given. */
export async function makeClosed(server: NetworkServer, addresses: readonly string[] = []): Promise<Space> {
  const space = await server.make();
  const more = addresses.filter((address) => !address.startsWith('127.')).map((address) => addAddress(LOOPBACK_INDEX, address, 32));
  try {
    await send(server, space.id, 'loopback', raiseLoopback(), ...more);
    return space;
  } catch (error) {
    server.release(space);
    throw error;
  }
}

/** Links a new network to the host by a pair of devices, with a default route through the host. The host's end goes with the network. */
export async function linkToHost(server: NetworkServer, space: Space, { device, hostAddress, ownAddress }: Link): Promise<void> {
  await send(server, HOME, `device ${device}`, createPair(device, OWN_DEVICE, space.id));
  const index = async (where: number, name: string): Promise<number> =>
    readIndex(await server.netlink(where, ROUTE_PROTOCOL, findLink(name)));
  const [outer, inner] = await Promise.all([index(HOME, device), index(space.id, OWN_DEVICE)]);
  await Promise.all([
    send(server, HOME, `device ${device}`, addAddress(outer, hostAddress, LINK_BITS), raise(outer, { forwards: true })),
    send(
      server,
      space.id,
      `device ${OWN_DEVICE}`,
      addAddress(inner, ownAddress, LINK_BITS),
      raise(inner, { forwards: false }),
      addDefaultRoute(hostAddress),
    ),
  ]);
}

/**
 * Waits until the pair of devices of a network that was released is gone, and has the host forget its connections: the next holder of the address receives
 * nothing of this one's. A network whose processes have ended stays while the kernel still sends for them, and a peer that takes the data slowly decides
 * for how long: then the pair is removed.
 */
export async function unlinkFromHost(server: NetworkServer, { device, ownAddress }: Link): Promise<void> {
  // The kernel does it asynchronously; the server would wait for 20 to 40 ms, and all requests for networks with it.
  for (let waitMs = FIRST_LOOK_MS; waitMs <= LAST_LOOK_MS && !isDeviceGone(device); waitMs *= 2) await pause(waitMs);
  if (!isDeviceGone(device)) {
    await send(server, HOME, `device ${device}`, deleteLink(device)).catch((error: unknown) => {
      if (!isDeviceGone(device)) throw error;
    });
  }
  // Only now: a device that is there begins new ones.
  await forgetConnectionsOf(server, ownAddress);
}

/** Has the host forget what was begun from an address of an instance. */
export async function forgetConnectionsOf(server: NetworkServer, ownAddress: string): Promise<void> {
  readAnswers(`connections of ${ownAddress}`, await server.netlink(HOME, NETFILTER_PROTOCOL, forgetConnections(ownAddress)));
}

async function send(server: NetworkServer, where: number, what: string, ...messages: readonly Buffer[]): Promise<void> {
  readAnswers(what, await server.netlink(where, ROUTE_PROTOCOL, Buffer.concat(messages)));
}
