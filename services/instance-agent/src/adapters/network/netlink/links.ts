import { ACK, attribute, CREATE, EXCLUSIVE, message, nested, readAnswers, text, uint32 } from './message.ts';

// Devices, addresses and routes (rtnetlink(7), linux/if_link.h, linux/if_addr.h).

export const ROUTE_PROTOCOL = 0;
export const LOOPBACK_INDEX = 1;

const [NEW_LINK, DELETE_LINK, GET_LINK, SET_LINK, NEW_ADDRESS, NEW_ROUTE] = [16, 17, 18, 19, 20, 24] as const;
const [AF_UNSPEC, AF_INET, AF_INET6] = [0, 2, 10] as const;
const UP = 1;
const IFLA = { NAME: 3, LINK_INFO: 18, AF_SPEC: 26, NETWORK_FD: 28 } as const;
const LINK_INFO = { KIND: 1, DATA: 2 } as const;
const VETH_PEER = 1;
const INET_CONF = 1;
const INET6_ADDRESS_MODE = 8;
const NO_ADDRESSES = Buffer.of(1);
const [FORWARDING, REVERSE_PATH_FILTER] = [1, 8] as const;
const IFA = { ADDRESS: 1, LOCAL: 2 } as const;
const RTA_GATEWAY = 5;
const [MAIN_TABLE, BY_ADMINISTRATOR, UNIVERSE, UNICAST] = [254, 4, 0, 1] as const;

/** A pair of devices, the second one in the network of a descriptor. */
export function createPair(device: string, peer: string, networkFd: number): Buffer {
  const other = Buffer.concat([linkHeader(0, 0), text(IFLA.NAME, peer), attribute(IFLA.NETWORK_FD, uint32(networkFd))]);
  const info = nested(IFLA.LINK_INFO, text(LINK_INFO.KIND, 'veth'), nested(LINK_INFO.DATA, attribute(VETH_PEER, other)));
  return message(NEW_LINK, ACK | CREATE | EXCLUSIVE, linkHeader(0, 0), text(IFLA.NAME, device), info);
}

/** Removes a device and its peer, wherever that is. */
export function deleteLink(device: string): Buffer {
  return message(DELETE_LINK, ACK, linkHeader(0, 0), text(IFLA.NAME, device));
}

export function findLink(device: string): Buffer {
  return message(GET_LINK, 0, linkHeader(0, 0), text(IFLA.NAME, device));
}

/** The index of the one device that was looked for. */
export function readIndex(bytes: Buffer): number {
  const found = readAnswers('link', bytes).find(({ type }) => type === NEW_LINK);
  if (!found) throw new Error('link: the kernel does not know its device');
  return found.body.readInt32LE(4);
}

/** Switches a device on, without addresses of IPv6: by them the host would be reached past its rules. */
export function raise(index: number, more: { readonly forwards: boolean }): Buffer {
  // What one passes on is of its peer's address: all else is dropped as the answer would not go there.
  const own = nested(INET_CONF, attribute(FORWARDING, uint32(1)), attribute(REVERSE_PATH_FILTER, uint32(1)));
  const forwarding = more.forwards ? [nested(AF_INET, own)] : [];
  const ipv6 = nested(AF_INET6, attribute(INET6_ADDRESS_MODE, NO_ADDRESSES));
  return message(SET_LINK, ACK, linkHeader(index, UP), nested(IFLA.AF_SPEC, ...forwarding, ipv6));
}

export function raiseLoopback(): Buffer {
  return message(SET_LINK, ACK, linkHeader(LOOPBACK_INDEX, UP));
}

/** Whether a device passes on packets that come in by it. */
export function setForwarding(index: number, forwards: boolean): Buffer {
  const spec = nested(IFLA.AF_SPEC, nested(AF_INET, forwardingAttribute(forwards)));
  return message(SET_LINK, ACK, linkHeader(index, 0), spec);
}

export function addAddress(index: number, address: string, bits: number): Buffer {
  const begin = Buffer.alloc(8);
  begin.set([AF_INET, bits, 0, UNIVERSE], 0);
  begin.writeUInt32LE(index, 4);
  const bytes = bytesOf(address);
  return message(NEW_ADDRESS, ACK | CREATE | EXCLUSIVE, begin, attribute(IFA.LOCAL, bytes), attribute(IFA.ADDRESS, bytes));
}

export function addDefaultRoute(gateway: string): Buffer {
  const begin = Buffer.alloc(12);
  begin.set([AF_INET, 0, 0, 0, MAIN_TABLE, BY_ADMINISTRATOR, UNIVERSE, UNICAST], 0);
  return message(NEW_ROUTE, ACK | CREATE | EXCLUSIVE, begin, attribute(RTA_GATEWAY, bytesOf(gateway)));
}

export function bytesOf(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number));
}

/** `struct ifinfomsg`. */
function linkHeader(index: number, flags: number): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt8(AF_UNSPEC, 0);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(flags, 12); // which of them are meant
  return header;
}

function forwardingAttribute(forwards: boolean): Buffer {
  return nested(INET_CONF, attribute(FORWARDING, uint32(forwards ? 1 : 0)));
}
