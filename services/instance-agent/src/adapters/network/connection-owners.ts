import { closeSync, readFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** Both ends of a connection, as one of them sees it. */
export type Ends = Pick<Socket, 'localAddress' | 'localPort' | 'remoteAddress' | 'remotePort'>;

/** Which user owns which TCP socket, in the network that this thread is in, as the kernel knows it. */
export type ConnectionOwners = {
  /** The user at the other end of a connection: all four parts of it are compared. undefined if there is no such socket. */
  ofPeer(ends: Ends): number | undefined;
  /** The user that listens on a port of 127.0.0.1; undefined if none does. */
  ofListener(port: number): number | undefined;
};

const LOOPBACK = '127.0.0.1';
// linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const NLM_F_REQUEST = 1;
const AF_INET = 2;
const IPPROTO_TCP = 6;
const ALL_STATES = 0xffff_ffff;
const NO_COOKIE = 0xffff_ffff;
const HEADER_BYTES = 16;
const REQUEST_BYTES = HEADER_BYTES + 56;
const UID_AT = HEADER_BYTES + 4 + 48 + 12;
const ANSWER_BYTES = 1024;

/**
 * Asks the kernel about one connection at a time (sock_diag(7)): ten microseconds, however many connections the host has. Where that is not possible
 * its tables are read, which takes longer the more connections there are.
 */
export async function findConnectionOwners(): Promise<ConnectionOwners> {
  const byDiag = await sockDiag();
  return byDiag && (await knowsItself(byDiag)) ? byDiag : tableOwners;
}

async function sockDiag(): Promise<ConnectionOwners | undefined> {
  try {
    const { default: koffi } = await import('koffi');
    const library = koffi.load(null);
    const socket = library.func('int socket(int family, int type, int protocol)');
    const send = library.func('ssize_t send(int fd, const void *bytes, size_t length, int flags)');
    const receive = library.func('ssize_t recv(int fd, _Out_ void *bytes, size_t length, int flags)');
    const ask = (request: Buffer): number | undefined => {
      // A socket of its own each time: it belongs to the network that this thread is in.
      const fd = Number(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
      if (fd < 0) return undefined;
      try {
        if (Number(send(fd, request, request.length, 0)) !== request.length) return undefined;
        const answer = Buffer.alloc(ANSWER_BYTES);
        const length = Number(receive(fd, answer, answer.length, 0));
        return length >= UID_AT + 4 && answer.readUInt16LE(4) === SOCK_DIAG_BY_FAMILY ? answer.readUInt32LE(UID_AT) : undefined;
      } finally {
        closeSync(fd);
      }
    };
    return {
      ofPeer({ localAddress, localPort, remoteAddress, remotePort }) {
        const [own, other] = [bytesOf(localAddress), bytesOf(remoteAddress)];
        if (!own || !other || localPort === undefined || remotePort === undefined) return undefined;
        return ask(requestOf(other, remotePort, own, localPort));
      },
      ofListener: (port) => ask(requestOf([127, 0, 0, 1], port, [0, 0, 0, 0], 0)),
    };
  } catch {
    return undefined; // the C library is out of reach
  }
}

/** `struct nlmsghdr` and `struct inet_diag_req_v2`: one socket, by its own end and the other one. */
function requestOf(own: readonly number[], ownPort: number, other: readonly number[], otherPort: number): Buffer {
  const request = Buffer.alloc(REQUEST_BYTES);
  request.writeUInt32LE(REQUEST_BYTES, 0);
  request.writeUInt16LE(SOCK_DIAG_BY_FAMILY, 4);
  request.writeUInt16LE(NLM_F_REQUEST, 6);
  request.writeUInt8(AF_INET, HEADER_BYTES);
  request.writeUInt8(IPPROTO_TCP, HEADER_BYTES + 1);
  request.writeUInt32LE(ALL_STATES, HEADER_BYTES + 4);
  const id = HEADER_BYTES + 8;
  request.writeUInt16BE(ownPort, id);
  request.writeUInt16BE(otherPort, id + 2);
  request.set(own, id + 4);
  request.set(other, id + 20);
  request.writeUInt32LE(NO_COOKIE, id + 40);
  request.writeUInt32LE(NO_COOKIE, id + 44);
  return request;
}

/** Of an address of IPv4, mapped into IPv6 or not; undefined of any other. */
function bytesOf(address: string | undefined): number[] | undefined {
  const text = address?.startsWith('::ffff:') ? address.slice(7) : address;
  return text !== undefined && /^\d+(\.\d+){3}$/.test(text) ? text.split('.').map(Number) : undefined;
}

/** A kernel without this family of questions answers as if there were no such socket. */
async function knowsItself(owners: ConnectionOwners): Promise<boolean> {
  const server = createServer((socket) => void socket.on('error', () => undefined));
  await new Promise<void>((resolve) => server.listen({ host: LOOPBACK, port: 0 }, resolve));
  const { port } = server.address() as AddressInfo; // it listens on a port
  const client = connect({ host: LOOPBACK, port });
  try {
    const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
    await new Promise((resolve, reject) => client.once('connect', resolve).once('error', reject));
    const socket = await accepted;
    const known = [owners.ofPeer(socket), owners.ofListener(port)];
    socket.destroy();
    return known.every((uid) => uid === process.geteuid?.());
  } finally {
    client.destroy();
    server.close();
  }
}

const TABLES = ['/proc/thread-self/net/tcp', '/proc/thread-self/net/tcp6'];
const LISTEN = '0A';

/** By the kernel's complete tables. */
export const tableOwners: ConnectionOwners = {
  ofPeer({ localAddress, localPort, remoteAddress, remotePort }) {
    const [own, other] = [bytesOf(localAddress), bytesOf(remoteAddress)];
    if (!own || !other || localPort === undefined || remotePort === undefined) return undefined;
    const [local, remote] = [hexOf(other, remotePort), hexOf(own, localPort)];
    return find((row) => row.state !== LISTEN && row.local === local && row.remote === remote);
  },
  ofListener(port) {
    const suffix = hexOf([], port);
    const places = [hexOf([127, 0, 0, 1], port), hexOf([0, 0, 0, 0], port)];
    // The most exact address receives the connection, as in the kernel; then any of IPv4, then all of IPv6.
    for (const place of places) {
      const uid = find((row) => row.state === LISTEN && row.local === place);
      if (uid !== undefined) return uid;
    }
    return find((row) => row.state === LISTEN && /^0{32}/.test(row.local) && row.local.endsWith(suffix));
  },
};

type Row = { readonly local: string; readonly remote: string; readonly state: string; readonly uid: number };

/** As the table has it: the address as one little-endian number in hexadecimal, then the port. */
function hexOf(address: readonly number[], port: number): string {
  const hex = (value: number, digits: number): string => value.toString(16).toUpperCase().padStart(digits, '0');
  return `${[...address]
    .reverse()
    .map((byte) => hex(byte, 2))
    .join('')}:${hex(port, 4)}`;
}

function find(matches: (row: Row) => boolean): number | undefined {
  for (const table of TABLES) {
    for (const line of textOf(table).split('\n').slice(1)) {
      const row = rowOf(line);
      if (row && matches(row)) return row.uid;
    }
  }
  return undefined;
}

const MAPPED = '0000000000000000FFFF0000';

/** `sl local_address rem_address st queues timer retransmits uid …` (proc_net_tcp). Addresses mapped into IPv6 read as those of IPv4. */
function rowOf(line: string): Row | undefined {
  const [, local = '', remote = '', state = '', , , , uid = ''] = line.trim().split(/\s+/);
  const plain = (address: string): string => (address.startsWith(MAPPED) ? address.slice(MAPPED.length) : address);
  return uid === '' ? undefined : { local: plain(local), remote: plain(remote), state, uid: Number(uid) };
}

function textOf(table: string): string {
  try {
    return readFileSync(table, 'latin1');
  } catch {
    return ''; // a kernel without IPv6
  }
}
