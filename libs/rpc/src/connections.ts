import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { createServer, isIP, type Server, type Socket } from 'node:net';

/** What a server's connections are bounded by. */
export type ConnectionRules = {
  /** Counts a connection until it closes, or closes it. Answers whether it may stay. */
  readonly admit: (socket: Socket) => boolean;
  /** How long a connection may stay that has not had a call let in, in milliseconds. */
  readonly strangerMs: number;
};

/** One connection. */
export type Connection = {
  readonly socket: Socket;
  readonly sinceMs: number;
  /** Whether a call of it was let in. */
  isKnown: boolean;
  /** Whether the answer to a call that was turned away waits. */
  isHeld: boolean;
};

/** The connections of a server that listens itself. */
export type Connections = {
  readonly port: number;
  /** The one that a call came by, by its peer ("address:port"). */
  of(peer: string): Connection | undefined;
  close(): void;
};

const LOOK_MS = 1_000;

/** Listens, and hands every connection on that may stay. Rejects if the port is taken. A name is listened on at all its addresses. */
export async function listenTo(
  { host, port, rules }: { readonly host: string; readonly port: number; readonly rules: ConnectionRules },
  onConnection: (socket: Socket) => void,
): Promise<Connections> {
  const connections = new Map<string, Connection>();
  const accept = (socket: Socket): void => {
    socket.on('error', () => undefined); // it closes, and its reader gets the error
    if (!rules.admit(socket)) return;
    socket.setNoDelay(true);
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    connections.set(peer, { socket, sinceMs: performance.now(), isKnown: false, isHeld: false });
    socket.once('close', () => connections.delete(peer));
    onConnection(socket);
  };
  const plain = host.replace(/^\[(.*)\]$/, '$1');
  const addresses = isIP(plain) ? [plain] : (await lookup(plain, { all: true })).map(({ address }) => address);
  const servers: Server[] = [];
  let bound = port;
  const close = (): void => servers.forEach((server) => server.close());
  for (const address of addresses) {
    const server = createServer(accept);
    servers.push(server);
    server.listen({ host: address, port: bound });
    try {
      await once(server, 'listening');
    } catch (error) {
      close();
      throw error;
    }
    const at = server.address();
    if (typeof at === 'object' && at) bound = at.port;
  }
  const strangers = setInterval(() => {
    const beforeMs = performance.now() - rules.strangerMs;
    for (const { socket, isKnown, sinceMs } of connections.values()) if (!isKnown && sinceMs < beforeMs) socket.destroy();
  }, LOOK_MS);
  strangers.unref();
  return {
    port: bound,
    of: (peer) => connections.get(peer),
    close() {
      clearInterval(strangers);
      close();
    },
  };
}
