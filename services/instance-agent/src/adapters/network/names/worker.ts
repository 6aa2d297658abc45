import { parentPort } from 'node:worker_threads';
import { createForwarder } from './forwarder.ts';
import { hostServers } from './host-servers.ts';

/** To the thread that answers for names: sockets of a network, the end of it, or of everything. */
export type NamesOrder = { readonly id: number; readonly udpFd: number; readonly tcpFd: number } | { readonly id: number } | 'END';

const now = (): number => performance.now();
const forwarder = createForwarder(hostServers(now), now);
const closers = new Map<number, () => void>();
parentPort?.on('message', (order: NamesOrder) => {
  if (order === 'END')
    process.exit(); // this thread alone, with all its sockets
  else if ('udpFd' in order) closers.set(order.id, forwarder.serve(order));
  else {
    closers.get(order.id)?.();
    closers.delete(order.id);
  }
});
