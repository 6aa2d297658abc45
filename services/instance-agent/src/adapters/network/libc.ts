import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { getSystemErrorMessage, getSystemErrorName } from 'node:util';

/** The calls of the C library that Node has no way to make. Each throws what the kernel says. On this thread, and at once. */
export type Libc = {
  /** Moves this thread into a new network, with nothing in it. */
  newNetwork(): void;
  /** Moves this thread into the network of a descriptor. */
  enterNetwork(fd: number): void;
  /** Switches the loopback of this thread's network on. */
  raiseLoopback(): void;
  /** A TCP socket of this thread's network, for ever. Whoever gets it closes it. */
  tcpSocket(): number;
  /** Goes on with connecting a socket to an address of its network; never waits. */
  connect(fd: number, address: string, port: number): 'CONNECTED' | 'PENDING';
  /** Gives a socket an address of its network, and any port of it that is free. */
  bind(fd: number, address: string): void;
};

// All of Linux (sched.h, linux/sockios.h, net/if.h), on the processors that Node is built for.
const CLONE_NEWNET = 0x4000_0000;
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;
const IFREQ_BYTES = 40;
const IFREQ_FLAGS_AT = 16;
const SOCKADDR_BYTES = 16;

/** Reaches the C library this process already has. The library that does it, and its memory, come only to agents that give networks away. */
export async function openLibc(): Promise<Libc> {
  const { default: koffi } = await import('koffi');
  const library = koffi.load(null);
  const unshare = library.func('int unshare(int flags)');
  const setns = library.func('int setns(int fd, int type)');
  const socket = library.func('int socket(int family, int type, int protocol)');
  const connect = library.func('int connect(int fd, const void *address, unsigned int bytes)');
  const bind = library.func('int bind(int fd, const void *address, unsigned int bytes)');
  const ioctl = library.func('int ioctl(int fd, unsigned long request, ...)');
  /** Calls of the C library that answer -1 have left their reason in errno. */
  const asked = (call: string, answer: number): number => {
    if (answer >= 0) return answer;
    throw systemError(call, koffi.errno());
  };
  const tcpSocket = (): number => asked('socket', numberOf(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)));
  return {
    newNetwork: () => void asked('unshare', numberOf(unshare(CLONE_NEWNET))),
    enterNetwork: (fd) => void asked('setns', numberOf(setns(fd, CLONE_NEWNET))),
    raiseLoopback() {
      const fd = tcpSocket();
      try {
        const request = Buffer.alloc(IFREQ_BYTES);
        request.write('lo');
        request.writeUInt16LE(IFF_UP, IFREQ_FLAGS_AT);
        asked('ioctl', numberOf(ioctl(fd, SIOCSIFFLAGS, 'void *', request)));
      } finally {
        closeSync(fd);
      }
    },
    tcpSocket,
    connect(fd, address, port) {
      if (numberOf(connect(fd, addressOf(address, port), SOCKADDR_BYTES)) === 0) return 'CONNECTED';
      const reason = koffi.errno();
      if (reason === constants.errno.EINPROGRESS || reason === constants.errno.EALREADY) return 'PENDING';
      throw systemError('connect', reason);
    },
    bind: (fd, address) => void asked('bind', numberOf(bind(fd, addressOf(address, 0), SOCKADDR_BYTES))),
  };
}

/** Functions of the foreign library are of no type; all of these answer an int. */
function numberOf(answer: unknown): number {
  return Number(answer);
}

/** `struct sockaddr_in`. Its family is in the host's order: koffi is built for little-endian processors alone. */
function addressOf(address: string, port: number): Buffer {
  const bytes = Buffer.alloc(SOCKADDR_BYTES);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(address.split('.').map(Number), 4);
  return bytes;
}

function systemError(call: string, errno: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${call}: ${getSystemErrorMessage(-errno)}`), { code, errno: -errno, syscall: call });
}
