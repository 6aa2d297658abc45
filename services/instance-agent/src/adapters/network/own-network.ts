import { closeSync } from 'node:fs';
import { type AddressInfo, type Server, Socket } from 'node:net';
import type { InstanceNetwork } from '../../ports.ts';
import type { Libc } from './libc.ts';
import type { Namespace } from './namespaces.ts';
import type { ConnectionOwners } from './connection-owners.ts';

const LOOPBACK = '127.0.0.1';
/** Told to those who do not want a particular one. */
const FIRST_PORT = 20_000;
/** A function whose backlog is full takes no connection: it is looked at again, for so long. */
const CONNECT_WITHIN_MS = 10_000;
const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 50;

/** The network of one instance, which the agent reaches into: a socket stays in the network in which it was made. */
export function ownNetwork(libc: Libc, owners: ConnectionOwners, space: Namespace, onClose: () => void): InstanceNetwork {
  const taken = new Set<number>();
  let isOpen = true;
  return {
    takePort(wanted) {
      let port = wanted ?? FIRST_PORT;
      while (taken.has(port)) port = port < FIRST_PORT ? FIRST_PORT : port + 1;
      taken.add(port);
      return Promise.resolve(port);
    },
    releasePort: (port) => void taken.delete(port),
    connect: (port, done) => connectIn(libc, space, port, done),
    listen: (server) => listenIn(libc, space, LOOPBACK, server),
    uidOfPeer: (socket) => space.enter(() => owners.ofPeer(socket)),
    uidOfListener: (port) => space.enter(() => owners.ofListener(port)),
    enter: (action) => space.enter(action),
    close() {
      if (!isOpen) return;
      isOpen = false;
      space.close();
      onClose();
    },
  };
}

/** Has a server of this process listen at an address of a namespace; answers its port. */
export async function listenIn(libc: Libc, space: Namespace, address: string, server: Server): Promise<number> {
  const fd = space.enter(libc.tcpSocket);
  try {
    libc.bind(fd, address);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return (server.address() as AddressInfo).port; // it was bound to one
}

/** Connects without ever waiting: within a host it is done at once, unless the function takes no connections. */
function connectIn(libc: Libc, space: Namespace, port: number, done: (result: Socket | Error) => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  let fd: number | undefined;
  const drop = (): void => {
    clearTimeout(timer);
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
  };
  const look = (pauseMs: number, leftMs: number): void => {
    try {
      fd ??= space.enter(libc.tcpSocket);
      // The first call sends, and most often brings the answer with it; the second one says so.
      const isThere = libc.connect(fd, LOOPBACK, port) === 'CONNECTED' || libc.connect(fd, LOOPBACK, port) === 'CONNECTED';
      if (!isThere && leftMs > 0) {
        timer = setTimeout(look, pauseMs, Math.min(pauseMs * 2, LONGEST_PAUSE_MS), leftMs - pauseMs);
        return;
      }
      if (!isThere) throw new Error(`connect: nobody took the connection to port ${port} within ${CONNECT_WITHIN_MS / 1000} s`);
    } catch (error) {
      drop();
      return done(error instanceof Error ? error : new Error(String(error)));
    }
    const socket = new Socket({ fd });
    fd = undefined; // the socket's from here on
    socket.setNoDelay(true);
    done(socket);
  };
  const soon = setImmediate(look, FIRST_PAUSE_MS, CONNECT_WITHIN_MS);
  return () => {
    clearImmediate(soon);
    drop();
  };
}
