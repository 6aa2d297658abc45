import assert from 'node:assert/strict';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { after, before, beforeEach, describe, it } from 'node:test';
import { spawnSync } from 'node:child_process';
import { eventually } from '@evenfall/testkit';
import { findLauncher } from '../../process/launch/launcher-program.ts';
import { openLibc } from '../libc.ts';
import { type NetworkServer, openNetworkServer, type Space } from '../network-server.ts';
import { makeClosed } from '../link-to-host.ts';
import { createForwarder, type Forwarder } from './forwarder.ts';
import { framed } from './upstream.ts';

const words = process.getuid?.() === 0 ? ['--net'] : ['--user', '--net'];
const mayMake = spawnSync('unshare', [...words, '--', 'true']).status === 0;
const QUESTION = Buffer.from('\x07example\x03org\0\0\x01\0\x01', 'latin1');
const query = (id: number): Buffer => Buffer.concat([Buffer.of(id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0), QUESTION]);

/** Sockets of the forwarder are of this process's own network here, at a port of their own: what is in between is tested with functions. */
describe('A forwarder of names', { skip: mayMake ? false : 'this user can make no network here' }, () => {
  let server: NetworkServer;
  let space: Space;
  let upstream: UdpSocket;
  let upstreamTcp: Server;
  let port = 0;
  /** What the host's server does with a question. */
  let reply: (bytes: Buffer) => Buffer | undefined;
  let asked = 0;
  let forwarder: Forwarder;
  let stop: () => void;
  /** Where the forwarder is reached: of a network of the server's, by its sockets. */
  let udpPort = 0;

  before(async () => {
    server = await openNetworkServer(await openLibc(), findLauncher(), process.getuid?.() === 0 ? 'HOST' : 'USER_NAMESPACE');
    space = await makeClosed(server);
    upstream = createSocket('udp4', (bytes, from) => {
      asked += 1;
      const answer = reply(bytes);
      if (answer) upstream.send(answer, from.port, from.address);
    });
    await new Promise<void>((resolve) => upstream.bind(0, '127.0.0.1', resolve));
    port = upstream.address().port;
    upstreamTcp = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (bytes) => {
        const answer = reply(bytes.subarray(2));
        if (answer) socket.write(framed(answer));
      });
    });
    await new Promise<void>((resolve) => upstreamTcp.listen(port, '127.0.0.1', resolve));
    udpPort = 53;
  });
  after(() => {
    upstream.close();
    upstreamTcp.close();
    server.release(space);
    server.close();
  });
  beforeEach(() => {
    asked = 0;
    reply = answered;
  });
  const answered = (bytes: Buffer, more: Buffer = Buffer.alloc(0)): Buffer => {
    const answer = Buffer.concat([bytes, more]);
    answer.writeUInt16BE(0x8180, 2);
    return answer;
  };
  const open = async (servers = [{ address: '127.0.0.1', port }]): Promise<void> => {
    forwarder = createForwarder(
      () => servers,
      () => performance.now(),
    );
    const at = { address: '127.0.0.1', port: udpPort };
    const [udpFd, tcpFd] = [await server.socket(space.id, 'DATAGRAM', at), await server.socket(space.id, 'STREAM', at)];
    stop = forwarder.serve({ udpFd, tcpFd });
  };
  /** A client in the network of the instance. */
  const client = async (): Promise<UdpSocket> => {
    const socket = createSocket('udp4');
    socket.bind({ fd: await server.socket(space.id, 'DATAGRAM', { address: '127.0.0.1', port: 0 }) });
    return socket;
  };
  const dial = async () => {
    const libc = await openLibc();
    const fd = await server.socket(space.id, 'STREAM');
    await eventually(() => libc.connect(fd, '127.0.0.1', udpPort) === 'CONNECTED');
    const { Socket } = await import('node:net');
    return new Socket({ fd }).on('error', () => undefined);
  };

  it('answers by UDP and by TCP, under the id of the question', async () => {
    await open();
    const socket = await client();
    socket.send(query(4711), udpPort, '127.0.0.1');
    const [answer] = (await once(socket, 'message')) as [Buffer];
    assert.deepEqual([answer.readUInt16BE(0), answer.readUInt16BE(2)], [4711, 0x8180]);
    const stream = await dial();
    stream.write(Buffer.concat([framed(query(1)), framed(query(2))]));
    let said = Buffer.alloc(0);
    stream.on('data', (chunk: Buffer) => (said = Buffer.concat([said, chunk])));
    await eventually(() => said.length === 2 * (2 + query(1).length));
    assert.deepEqual([said.readUInt16BE(2), said.readUInt16BE(2 + query(1).length + 2)], [1, 2]);
    stream.destroy();
    socket.close();
    stop();
  });

  it('cuts what is too long for UDP, and answers it by TCP', async () => {
    reply = (bytes) => answered(bytes, Buffer.alloc(3_000));
    await open();
    const socket = await client();
    socket.send(query(1), udpPort, '127.0.0.1');
    const [answer] = (await once(socket, 'message')) as [Buffer];
    assert.deepEqual([answer.length, answer.readUInt16BE(2) & 0x200], [query(1).length, 0x200]);
    const stream = await dial();
    stream.write(framed(query(1)));
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => (bytes += chunk.length));
    await eventually(() => bytes === 2 + query(1).length + 3_000);
    stream.destroy();
    socket.close();
    stop();
  });

  it('does not accept the answer to another question, and goes on to the next server', async () => {
    reply = (bytes) => {
      const other = Buffer.from(answered(bytes));
      other.write('evil', 13, 'latin1');
      return other;
    };
    const good = createSocket('udp4', (bytes, from) => good.send(answered(bytes), from.port, from.address));
    await new Promise<void>((resolve) => good.bind(0, '127.0.0.1', resolve));
    await open([
      { address: '127.0.0.1', port },
      { address: '127.0.0.1', port: good.address().port },
    ]);
    const socket = await client();
    socket.send(query(9), udpPort, '127.0.0.1');
    const [answer] = (await once(socket, 'message')) as [Buffer];
    assert.deepEqual(answer, answered(query(9)));
    for (const each of [socket, good]) each.close();
    stop();
  });

  it('holds few questions of one instance, however many it sends, and sends no other server more than it may', async () => {
    reply = () => undefined;
    await open();
    const socket = await client();
    for (let id = 0; id < 5_000; id++) socket.send(query(id % 65_536), udpPort, '127.0.0.1');
    await eventually(() => forwarder.waiting() > 0);
    await eventually(() => forwarder.waiting() === 0, 30_000);
    assert.ok(asked > 0 && asked <= 96, `${asked} were asked`);
    socket.close();
    stop();
  });

  it('closes connections that send nothing sensible, and what it holds at its end', async () => {
    await open();
    const wrong = await dial();
    wrong.write(Buffer.of(0xff, 0xff, 1, 2, 3));
    wrong.resume();
    await once(wrong, 'close');
    const idle = await dial();
    idle.resume();
    stop();
    await once(idle, 'close');
  });

  it('reports that no server has answered', async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const address = closed.address();
    closed.close();
    await open([{ address: '127.0.0.1', port: typeof address === 'object' && address ? address.port : 1 }]);
    const socket = await client();
    socket.send(query(3), udpPort, '127.0.0.1');
    const [answer] = (await once(socket, 'message')) as [Buffer];
    assert.equal(answer.readUInt16BE(2) & 15, 2);
    socket.close();
    stop();
  });
});
