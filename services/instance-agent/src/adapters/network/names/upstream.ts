import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { isAnswerTo, type Query, queryMessage } from '../../../domain/dns.ts';

/** A name server. */
export type NameServerAddress = { readonly address: string; readonly port: number };

const UDP_WITHIN_MS = 2_000;
const TCP_WITHIN_MS = 5_000;
const MAX_SERVERS = 3;
const LENGTH_BYTES = 2;

/** Asks one server after the other; undefined if none answers. Each question has an id and a port of its own, which cannot be guessed. */
export async function ask(servers: readonly NameServerAddress[], query: Query, by: 'UDP' | 'TCP'): Promise<Buffer | undefined> {
  for (const server of servers.slice(0, MAX_SERVERS)) {
    const id = randomInt(0x1_0000);
    const answer = await (by === 'UDP' ? askByUdp(server, query, id) : askByTcp(server, query, id));
    if (answer) return answer;
  }
  return undefined;
}

function askByUdp({ address, port }: NameServerAddress, query: Query, id: number): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(address.split('%')[0] ?? '') ? 'udp6' : 'udp4');
    let isSettled = false;
    const settle = (answer: Buffer | undefined): void => {
      if (isSettled) return;
      isSettled = true;
      clearTimeout(late);
      socket.close();
      resolve(answer);
    };
    const late = setTimeout(settle, UDP_WITHIN_MS, undefined);
    socket.on('error', () => settle(undefined));
    socket.on('message', (bytes) => {
      if (isAnswerTo(query, id, bytes)) settle(bytes);
    });
    // Connected: messages of others are not received, and the kernel reports if no server is there.
    socket.once('connect', () => socket.send(queryMessage(query, id)));
    socket.connect(port, address);
  });
}

function askByTcp({ address, port }: NameServerAddress, query: Query, id: number): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const settle = (answer: Buffer | undefined): void => {
      clearTimeout(late);
      socket.destroy();
      resolve(answer);
    };
    const late = setTimeout(settle, TCP_WITHIN_MS, undefined);
    let received = Buffer.alloc(0);
    socket.on('error', () => settle(undefined));
    socket.on('close', () => settle(undefined));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      const length = received.length >= LENGTH_BYTES ? received.readUInt16BE(0) : 0x1_0000;
      if (received.length < LENGTH_BYTES + length) return;
      const answer = received.subarray(LENGTH_BYTES, LENGTH_BYTES + length);
      settle(isAnswerTo(query, id, answer) ? answer : undefined);
    });
    socket.end(framed(queryMessage(query, id)));
  });
}

/** With its length, as messages are separated in a stream. */
export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}
