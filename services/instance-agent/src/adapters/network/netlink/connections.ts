import { bytesOf } from './links.ts';
import { ACK, attribute, message, uint32be } from './message.ts';

// Connections that the kernel tracks (linux/netfilter/nfnetlink_conntrack.h).

const CONNECTIONS = 1;
const DELETE = 2;
const MARK = 8;
const MARK_MASK = 21;

/**
 * Has the host forget the connections that an instance has begun, by the mark that rules give them: its address. Kernels before 6.8 cannot be requested to
 * do so by the address itself.
 */
export function forgetConnections(ownAddress: string): Buffer {
  // Rules put the bytes of the address where the kernel reads a number of its own order.
  const mark = uint32be(bytesOf(ownAddress).readUInt32LE(0));
  const begin = Buffer.alloc(4); // struct nfgenmsg, of any family
  return message((CONNECTIONS << 8) | DELETE, ACK, begin, attribute(MARK, mark), attribute(MARK_MASK, uint32be(0xffff_ffff)));
}
