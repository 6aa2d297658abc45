import { spawn } from 'node:child_process';
import { connect, createServer, type Socket } from 'node:net';
import type { InstanceNetwork } from '../../ports.ts';
import type { NetworkServer, Space } from './network-server.ts';
import { listenIn } from './own-network.ts';

const WITHIN_MS = 10_000;

/** Listens in a network and connects through it, as conversations do. Throws if that does not work. */
export async function tryLoopback(network: InstanceNetwork): Promise<void> {
  await reach(
    (server) => network.listen(server),
    (port, done) => void network.connect(port, done),
  );
}

/** Starts a process in a network, as functions are. Throws if that does not work. */
export async function tryStart(launcher: string, { place }: InstanceNetwork): Promise<void> {
  if (!place) return;
  const { fd, ownerFd } = place;
  const words = ['--in-network', '3', ownerFd === undefined ? 'none' : '4', '/bin/sh', '-c', ':'];
  const child = spawn(launcher, words, { cwd: '/', env: {}, stdio: ['ignore', 'ignore', 'pipe', fd, ownerFd ?? 'ignore'] });
  let output = '';
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise((resolve, reject) => child.once('close', resolve).once('error', reject));
  if (code !== 0) throw new Error(`no process can be started in one (CAP_SYS_ADMIN): ${output.trim()}`);
}

/** Connects from the host to an instance's end of its link: its packets and their answers find their way. Throws if they do not. */
export async function tryLink(networks: NetworkServer, space: Space, address: string): Promise<void> {
  await reach(
    (server) => listenIn(networks, space, address, server),
    (port, done) => {
      const socket = connect({ host: address, port });
      socket.once('error', done);
      socket.once('connect', () => done(socket));
    },
  );
}

type Server = ReturnType<typeof createServer>;

async function reach(
  listen: (server: Server) => Promise<number>,
  connectTo: (port: number, done: (result: Socket | Error) => void) => void,
): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end();
  });
  try {
    const port = await listen(server);
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no server answers in it within ${WITHIN_MS / 1000} s`)), WITHIN_MS);
      connectTo(port, (result) => {
        clearTimeout(late);
        if (result instanceof Error) return reject(result);
        result.on('error', () => undefined);
        result.destroy();
        resolve();
      });
    });
  } finally {
    server.close();
  }
}
