import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { createBoundedServer } from './bounded-server.ts';

describe('requests that take their time', () => {
  let server: Server;
  const sockets: Socket[] = [];
  before(async () => {
    const limits = { admit: () => true, headMs: 1_000, requestMs: 10_000, bodyMs: 1_000, bytesPerSecond: 10_000 };
    server = createBoundedServer(
      limits,
      (request, response) =>
        void text(request).then(
          (body) => response.end(`${body.length}`),
          () => undefined,
        ),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  /** Sends a head, and then a piece of the body again and again; answers what was said, and for how long it was listened to. */
  const send = async (head: string, piece = '', everyMs = 1_000): Promise<{ readonly said: string; readonly tookMs: number }> => {
    const began = performance.now();
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1'); // it listens on TCP
    sockets.push(socket);
    let said = '';
    socket.on('data', (chunk: Buffer) => (said += chunk.toString('latin1')));
    socket.on('error', () => undefined); // it may be closed from the other side
    socket.write(head);
    const timer = setInterval(() => piece !== '' && socket.writable && socket.write(piece), everyMs);
    await once(socket, 'close');
    clearInterval(timer);
    return { said, tookMs: performance.now() - began };
  };
  const HEAD = 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30000\r\n';

  it('are ended: half a head, half a body, a byte now and then, nothing at all', async () => {
    const all = await Promise.all([
      send('POST / HTTP/1.1\r\nHost: local'),
      send(`${HEAD}\r\n{"half":`),
      send(`${HEAD}\r\n`, 'a', 100),
      send(`${HEAD.replace('Content-Length: 30000', 'Transfer-Encoding: chunked')}\r\n`, '1\r\na\r\n', 100),
      send(''),
    ]);
    for (const { tookMs } of all) assert.ok(tookMs > 900 && tookMs < 6_000, `${tookMs} ms`);
    for (const { said } of all.slice(0, 4)) assert.match(said, /^HTTP\/1\.1 408 /);
  });

  it('are waited for as long as they come at a fair pace', async () => {
    const { said } = await send(`${HEAD}Connection: close\r\n\r\n`, 'a'.repeat(2_000), 100);
    assert.match(said, /^HTTP\/1\.1 200 OK\r\n[\s\S]*30000/);
  });
});
