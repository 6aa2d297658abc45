import { createServer } from 'node:net';

/** Below the range from which kernels choose the ports of outgoing connections (Linux: 32768 and up). */
const FIRST = 20_000;
const COUNT = 10_000;
const TRIES = 200;

/** Ports that are claimed for runtimes of this agent, so that no two instances get the same one. */
export type HostPorts = {
  /** Claims a port that no process listens on, the wanted one if it is free. Claimed until it is released. */
  claim(wanted: number | undefined): Promise<number>;
  release(port: number): void;
};

export function hostPorts(random: () => number = Math.random): HostPorts {
  const claimed = new Set<number>();
  const tryClaim = async (port: number): Promise<boolean> => {
    if (claimed.has(port)) return false;
    claimed.add(port); // before the look: two must not look at the same time
    if (await isFree(port)) return true;
    claimed.delete(port);
    return false;
  };
  return {
    async claim(wanted) {
      if (wanted !== undefined && (await tryClaim(wanted))) return wanted;
      for (let tries = 0; tries < TRIES; tries++) {
        const port = FIRST + Math.floor(random() * COUNT);
        if (await tryClaim(port)) return port;
      }
      throw new Error(`no port between ${FIRST} and ${FIRST + COUNT} is free`);
    },
    release: (port) => void claimed.delete(port),
  };
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '0.0.0.0', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
