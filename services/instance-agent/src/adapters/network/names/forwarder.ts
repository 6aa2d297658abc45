import { createSocket } from 'node:dgram';
import { createServer, type Socket } from 'node:net';
import { answerMessage, failureMessage, MAX_QUERY_BYTES, type Query, readQuery } from '../../../domain/dns.ts';
import { ask, framed, type NameServerAddress } from './upstream.ts';

/** Questions of one instance that may wait for an answer; and of all, beyond which each has few. More are dropped: a client repeats its question by UDP. */
const MOST_OF_ONE = 32;
const MANY = 256;
const FEW_OF_ONE = 4;
/** Questions of one instance a second, in the long run and at once. */
const PER_SECOND = 500;
const AT_ONCE = 1_000;
const MAX_CONNECTIONS = 8;
const IDLE_MS = 10_000;
const LENGTH_BYTES = 2;

export type Forwarder = {
  /** Answers at sockets of an instance's network, which are this forwarder's from here on. Returns what closes them. */
  serve(sockets: { readonly udpFd: number; readonly tcpFd: number }): () => void;
  /** Questions that wait for an answer. */
  waiting(): number;
};

/** Answers what instances ask for names by asking the servers of the host. Every instance has its share of it, and no more. */
export function createForwarder(servers: () => readonly NameServerAddress[], now: () => number): Forwarder {
  let waiting = 0;
  const serve: Forwarder['serve'] = ({ udpFd, tcpFd }) => {
    const budget = createBudget(now);
    let own = 0;
    /** undefined where it is one too many. */
    const forward = async (query: Query, by: 'UDP' | 'TCP'): Promise<Buffer | undefined> => {
      if (own >= (waiting < MANY ? MOST_OF_ONE : FEW_OF_ONE)) return undefined;
      own += 1;
      waiting += 1;
      try {
        const answer = await ask(servers(), query, by);
        return answer ? answerMessage(query, answer, by) : failureMessage(query);
      } finally {
        own -= 1;
        waiting -= 1;
      }
    };
    const answered = async (bytes: Buffer, by: 'UDP' | 'TCP'): Promise<Buffer | undefined> => {
      if (!budget.spend()) return undefined;
      const read = readQuery(bytes);
      if (read === 'NONE') return undefined;
      return 'refusal' in read ? read.refusal : forward(read.query, by);
    };
    let isOpen = true;
    const udp = createSocket('udp4');
    udp.on('error', () => undefined); // the client repeats what cannot be sent
    udp.on('message', (bytes, { address, port }) => {
      void answered(bytes, 'UDP').then((answer) => {
        if (answer && isOpen) udp.send(answer, port, address, () => undefined);
      });
    });
    udp.bind({ fd: udpFd });
    const connections = new Set<Socket>();
    const tcp = createServer((socket) => {
      connections.add(socket.on('close', () => connections.delete(socket)).on('error', () => undefined)); // the client repeats its question
      void converse(socket, (bytes) => answered(bytes, 'TCP'));
    });
    tcp.maxConnections = MAX_CONNECTIONS;
    tcp.on('error', () => undefined);
    tcp.listen({ fd: tcpFd });
    return () => {
      isOpen = false;
      udp.close();
      tcp.close();
      for (const socket of connections) socket.destroy();
    };
  };
  return { serve, waiting: () => waiting };
}

/** One question after the other. What is not answered ends the connection. */
async function converse(socket: Socket, answered: (bytes: Buffer) => Promise<Buffer | undefined>): Promise<void> {
  socket.setTimeout(IDLE_MS, () => socket.destroy());
  try {
    let rest = Buffer.alloc(0);
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= LENGTH_BYTES) {
        const end = LENGTH_BYTES + rest.readUInt16BE(0);
        if (end > LENGTH_BYTES + MAX_QUERY_BYTES) return;
        if (rest.length < end) break;
        const answer = await answered(rest.subarray(LENGTH_BYTES, end));
        if (!answer) return;
        await new Promise<void>((resolve, reject) => socket.write(framed(answer), (error) => (error ? reject(error) : resolve())));
        rest = rest.subarray(end);
      }
    }
  } catch {
    // it has gone
  } finally {
    socket.destroy();
  }
}

function createBudget(now: () => number): { spend(): boolean } {
  let left = AT_ONCE;
  let since = now();
  return {
    spend() {
      const at = now();
      left = Math.min(AT_ONCE, left + ((at - since) * PER_SECOND) / 1000);
      since = at;
      if (left < 1) return false;
      left -= 1;
      return true;
    },
  };
}
