import { closeSync } from 'node:fs';
import { type AddressInfo, type Server, Socket } from 'node:net';
import type { InstanceNetwork } from '../../ports.ts';
import type { Libc } from './libc.ts';
import type { NetworkServer, Space } from './network-server.ts';

const LOOPBACK = '127.0.0.1';
/** For instances that do not need a particular one. */
const FIRST_PORT = 20_000;
/** A function whose backlog is full accepts no connection: it is tried again, for so long. */
const CONNECT_WITHIN_MS = 10_000;
const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 50;

/** The network of one instance, which the agent reaches into by sockets of it. Only the instance and the agent can be at either end of one. */
export function ownNetwork(
  libc: Libc,
  server: NetworkServer,
  space: Space,
  { resolvConf, onClose }: { readonly resolvConf: string | undefined; onClose(): void },
): InstanceNetwork {
  const taken = new Set<number>();
  let isOpen = true;
  return {
    needsSecret: false,
    place: { fd: space.fd, ownerFd: server.ownerFd },
    resolvConf,
    claimPort(wanted) {
      let port = wanted ?? FIRST_PORT;
      while (taken.has(port)) port = port < FIRST_PORT ? FIRST_PORT : port + 1;
      taken.add(port);
      return Promise.resolve(port);
    },
    releasePort: (port) => void taken.delete(port),
    connect: (port, done) => connectIn(libc, server, space, port, done),
    listen: (listener) => listenIn(server, space, LOOPBACK, listener),
    isWith: () => true,
    close() {
      if (!isOpen) return;
      isOpen = false;
      server.release(space);
      onClose();
    },
  };
}

/** Has a server of this process listen at an address of a network; answers its port. */
export async function listenIn(server: NetworkServer, space: Space, address: string, listener: Server): Promise<number> {
  const fd = await server.socket(space.id, 'STREAM', { address, port: 0 });
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen({ fd }, () => {
      listener.off('error', reject);
      resolve();
    });
  });
  return (listener.address() as AddressInfo).port; // it was bound to one
}

/** Connects without ever waiting: within a host it is done at once, unless the function accepts no connections. */
function connectIn(libc: Libc, server: NetworkServer, space: Space, port: number, done: (result: Socket | Error) => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  let fd: number | undefined;
  let isWanted = true;
  const drop = (): void => {
    isWanted = false;
    clearTimeout(timer);
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
  };
  const fail = (error: unknown): void => {
    drop();
    done(error instanceof Error ? error : new Error(String(error)));
  };
  const look = (own: number, pauseMs: number, leftMs: number): void => {
    try {
      // The first call sends, and most often brings the answer with it; the second one reports it.
      const isThere = libc.connect(own, LOOPBACK, port) === 'CONNECTED' || libc.connect(own, LOOPBACK, port) === 'CONNECTED';
      if (!isThere && leftMs > 0) {
        timer = setTimeout(look, pauseMs, own, Math.min(pauseMs * 2, LONGEST_PAUSE_MS), leftMs - pauseMs);
        return;
      }
      if (!isThere) throw new Error(`connect: no process accepted the connection to port ${port} within ${CONNECT_WITHIN_MS / 1000} s`);
    } catch (error) {
      return fail(error);
    }
    fd = undefined; // the socket's from here on
    const socket = new Socket({ fd: own });
    socket.setNoDelay(true);
    done(socket);
  };
  server.socket(space.id, 'STREAM').then(
    (own) => {
      if (!isWanted) return closeSync(own);
      fd = own;
      look(own, FIRST_PAUSE_MS, CONNECT_WITHIN_MS);
    },
    (error: unknown) => isWanted && fail(error),
  );
  return drop;
}
