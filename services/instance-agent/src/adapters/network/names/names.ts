import { closeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { NetworkServer, Space } from '../network-server.ts';
import type { NamesOrder } from './worker.ts';

/** Where instances look up names, in their own network: the address that C libraries use without a configuration file, too. */
export const NAMES_ADDRESS = '127.0.0.1';
export const NAMES_PORT = 53;
const MEMORY_MB = 64;
/** A thread that ends sooner, so many times, is not begun again. */
const QUICK_MS = 1_000;
const MOST_QUICK = 5;

/** Answers the name queries of instances, in a thread of its own: they use no time of the agent's thread. */
export type Names = {
  /** Answers in a network at some of its addresses. Returns what ends that. */
  serve(space: Space, addresses: readonly string[]): Promise<() => void>;
  close(): Promise<void>;
};

/** `onLost` is called when the thread has ended for lack of memory or by a fault; another one replaces it. */
export function openNames(server: NetworkServer, onLost: (error: unknown) => void): Names {
  const served = new Map<number, { readonly space: Space; readonly address: string }>();
  let last = 0;
  let isOpen = true;
  /** No thread is left, and none will be. */
  let isOver = false;
  let quick = 0;
  let worker = begin();
  function begin(): Worker {
    const thread = new Worker(new URL('./worker.ts', import.meta.url), { resourceLimits: { maxOldGenerationSizeMb: MEMORY_MB } });
    const begunAt = performance.now();
    thread.unref();
    thread.on('error', onLost);
    thread.on('exit', () => {
      quick = performance.now() - begunAt < QUICK_MS ? quick + 1 : 0;
      isOver = !isOpen || quick > MOST_QUICK;
      if (isOver) return;
      worker = begin();
      for (const id of served.keys()) void answer(id).catch(onLost);
    });
    return thread;
  }
  async function answer(id: number): Promise<void> {
    const of = served.get(id);
    if (!of) return;
    const at = { address: of.address, port: NAMES_PORT };
    const udpFd = await server.socket(of.space.id, 'DATAGRAM', at);
    let tcpFd: number;
    try {
      tcpFd = await server.socket(of.space.id, 'STREAM', at);
    } catch (error) {
      closeSync(udpFd);
      throw error;
    }
    if (served.has(id)) worker.postMessage({ id, udpFd, tcpFd } satisfies NamesOrder);
    else for (const fd of [udpFd, tcpFd]) closeSync(fd);
  }
  return {
    async serve(space, addresses) {
      const ids: number[] = [];
      const end = (): void => {
        for (const id of ids) if (served.delete(id)) worker.postMessage({ id } satisfies NamesOrder);
      };
      try {
        for (const address of addresses) {
          ids.push(++last);
          served.set(last, { space, address });
          await answer(last);
        }
        return end;
      } catch (error) {
        end();
        throw error;
      }
    },
    async close() {
      isOpen = false;
      // Not at once: sockets that it has not received yet would stay open, and their networks with them.
      if (isOver) return;
      const ended = new Promise((resolve) => worker.once('exit', resolve));
      worker.ref();
      worker.postMessage('END' satisfies NamesOrder);
      await ended;
    },
  };
}
