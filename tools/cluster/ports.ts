import { createServer } from 'node:net';

/** Below where the kernel takes ports for outgoing connections: a process that is started again finds its port free. */
const FROM = 20_000;
const COUNT = 10_000;

/** Ports that are free now, no two the same. */
export async function freePorts(count: number, host = '127.0.0.1'): Promise<number[]> {
  const found: number[] = [];
  const start = Math.floor(Math.random() * COUNT);
  for (let step = 0; step < COUNT && found.length < count; step++) {
    const port = FROM + ((start + step) % COUNT);
    if (await isFree(port, host)) found.push(port);
  }
  if (found.length < count) throw new Error('There are no free ports');
  return found;
}

function isFree(port: number, host: string): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
