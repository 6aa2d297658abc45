import { constants } from 'node:os';
import { getSystemErrorMessage, getSystemErrorName } from 'node:util';

/** The calls of the C library that Node has no way to make. Each throws the error of the kernel. None of them waits. */
export type Libc = {
  /** Two ends of a connection that passes descriptors on, one message at a time. */
  socketPair(): [number, number];
  /** Receives a descriptor that has come by such a connection. The caller closes it. */
  receiveDescriptor(fd: number): number;
  /** Goes on with connecting a socket to an address of its network. */
  connect(fd: number, address: string, port: number): 'CONNECTED' | 'PENDING';
};

// All of Linux (sys/socket.h), on the processors that Node is built for.
const AF_UNIX = 1;
const AF_INET = 2;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const SOCK_SEQPACKET = 5;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
const SOCKADDR_BYTES = 16;
/** `struct cmsghdr` with one descriptor: a length of eight bytes, level, type, and the number, to a multiple of eight. */
const CONTROL_BYTES = 24;

/** Reaches the C library this process already has. The library that does it, and its memory, are loaded only by agents that make networks. */
export async function openLibc(): Promise<Libc> {
  const { default: koffi } = await import('koffi');
  const library = koffi.load(null);
  const socketpair = library.func('int socketpair(int family, int type, int protocol, void *fds)');
  const connect = library.func('int connect(int fd, const void *address, unsigned int bytes)');
  const part = koffi.struct({ base: 'void *', length: 'size_t' });
  const message = koffi.struct({
    name: 'void *',
    nameLength: 'uint32_t',
    parts: koffi.pointer(part),
    partCount: 'size_t',
    control: 'void *',
    controlLength: 'size_t',
    flags: 'int',
  });
  const recvmsg = library.func('recvmsg', 'intptr_t', ['int', koffi.inout(koffi.pointer(message)), 'int']);
  const failed = (call: string): NodeJS.ErrnoException => systemError(call, koffi.errno());
  return {
    socketPair() {
      const fds = new Int32Array(2);
      if (Number(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds)) !== 0) throw failed('socketpair');
      return [fds[0] ?? -1, fds[1] ?? -1];
    },
    receiveDescriptor(fd) {
      const control = Buffer.alloc(CONTROL_BYTES);
      const parts = { base: Buffer.alloc(1), length: 1 };
      const into = { name: null, nameLength: 0, parts, partCount: 1, control, controlLength: control.length, flags: 0 };
      if (Number(recvmsg(fd, into, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) !== 1) throw failed('recvmsg');
      if (control.readInt32LE(8) !== SOL_SOCKET || control.readInt32LE(12) !== SCM_RIGHTS) throw new Error('recvmsg: no descriptor came');
      return control.readInt32LE(16);
    },
    connect(fd, address, port) {
      if (Number(connect(fd, addressOf(address, port), SOCKADDR_BYTES)) === 0) return 'CONNECTED';
      const reason = koffi.errno();
      if (reason === constants.errno.EINPROGRESS || reason === constants.errno.EALREADY) return 'PENDING';
      throw systemError('connect', reason);
    },
  };
}

/** `struct sockaddr_in`. Its family is in the host's order: koffi is built for little-endian processors alone. */
export function addressOf(address: string, port: number): Buffer {
  const bytes = Buffer.alloc(SOCKADDR_BYTES);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(address.split('.').map(Number), 4);
  return bytes;
}

export function systemError(call: string, errno: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${call}: ${getSystemErrorMessage(-errno)}`), { code, errno: -errno, syscall: call });
}
