import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to a platform on which each connection comes from an address of its own, of this host's loopback. */
export type ManyAddresses = { readonly url: string; close(): void };

/** What many clients send, of whom none has to wait because another one's key was wrong: those limits are counted by address. */
export async function openManyAddresses(to: string): Promise<ManyAddresses> {
  const { hostname, port } = new URL(to);
  const sockets = new Set<Socket>();
  let count = 0;
  const server = createServer((client) => {
    count++;
    const platform = connect({ host: hostname, port: Number(port), localAddress: `127.1.${(count >> 8) & 255}.${count & 255}` });
    for (const [from, into] of [
      [client, platform],
      [platform, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => into.destroy());
      from.on('close', () => {
        sockets.delete(from);
        into.destroy();
      });
      from.pipe(into);
    }
  });
  await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1' }, resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, // it listens on a port
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
