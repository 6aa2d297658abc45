import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { createServer as createListener, isIP } from 'node:net';

/** Addresses of a host to listen on: a name such as `localhost` may have several. */
export async function addressesOf(host: string): Promise<readonly [string, ...string[]]> {
  const plain = host.replace(/^\[(.*)\]$/, '$1');
  if (isIP(plain)) return [plain];
  const [first, ...more] = [...new Set((await lookup(plain, { all: true })).map(({ address }) => address))];
  return [first ?? plain, ...more];
}

/** Makes a listening server accept connections at a further address, at its own port, until it closes. */
export async function listenAlsoAt(server: Server, address: string): Promise<void> {
  const at = server.address();
  const listener = createListener((socket) => void server.emit('connection', socket));
  listener.listen({ host: address, port: typeof at === 'object' ? (at?.port ?? 0) : 0 });
  await once(listener, 'listening');
  server.once('close', () => listener.close());
}
