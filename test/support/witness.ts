import { type AddressInfo, createServer, type Socket } from 'node:net';

/**
 * A function that reports to the test when each of its runs began and when it ended, and for which event: what really ran, whatever the platform says of
 * it. Lines are `begin|end <event id> <milliseconds> <run>`; the kernel has each of them before the function goes on.
 */
export const WITNESS = `
const socket = require('node:net').connect({ port: Number(process.env.WITNESS_PORT), host: '127.0.0.1', noDelay: true });
socket.unref();
const run = require('node:crypto').randomUUID();
let count = 0;
const say = (word, context, key) => new Promise((resolve, reject) => {
  socket.write(word + ' ' + context.request_id + ' ' + Date.now() + ' ' + key + '\\n', (error) => (error ? reject(error) : resolve()));
});
exports.handler = async (event, context) => {
  const key = run + '-' + count++;
  await say('begin', context, key);
  await new Promise((resolve) => setTimeout(resolve, event.ms ?? 5));
  await say('end', context, key);
  return event.n;
};
`;

/** Settings of agents whose functions reach a witness: it is on the host's loopback. */
export const WITNESSED = { EVENFALL_AGENT_NETWORK: 'host' } as const;

export type Run = { readonly beginMs: number; readonly endMs: number | undefined };

/** Receives what functions report; on loopback, where functions get that share the network of their host: see `WITNESSED`. */
export type Witness = {
  /** The settings of a function that is watched this way. */
  fn(more?: object): { name: string; runtime: string; handler: string; timeout: string; environment: { WITNESS_PORT: string } };
  /** Runs of every event, in the order they began. One that was killed has no end. */
  runs(): Map<string, Run[]>;
  close(): void;
};

export async function openWitness(): Promise<Witness> {
  const runs = new Map<string, { id: string; beginMs: number; endMs: number | undefined }>();
  const sockets = new Set<Socket>();
  const receiveLine = (line: string): void => {
    const [word, id = '', time, key = ''] = line.split(' ');
    if (word === 'begin') runs.set(key, { id, beginMs: Number(time), endMs: undefined });
    const known = runs.get(key);
    if (word === 'end' && known) known.endMs = Number(time);
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    let rest = '';
    socket.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString('latin1')).split('\n');
      rest = lines.pop() ?? '';
      lines.forEach(receiveLine);
    });
    socket.on('error', () => undefined); // a function that was killed
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1' }, resolve));
  const { port } = server.address() as AddressInfo; // it listens on a port
  return {
    fn: (more = {}) => ({
      name: 'witness',
      runtime: 'nodejs',
      handler: 'index.handler',
      timeout: '30s',
      environment: { WITNESS_PORT: String(port) },
      ...more,
    }),
    runs() {
      const byEvent = new Map<string, Run[]>();
      for (const run of [...runs.values()].sort((a, b) => a.beginMs - b.beginMs)) {
        const of = byEvent.get(run.id);
        if (of) of.push(run);
        else byEvent.set(run.id, [run]);
      }
      return byEvent;
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
