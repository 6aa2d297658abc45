// The limits of a caller before it has authenticated, and after.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { after, before, beforeEach, describe, it } from 'node:test';
import { EventServiceService } from '@evenfall/contracts/v1/event_service';
import { refuse } from '@evenfall/errors';
import { eventually } from '@evenfall/testkit';
import { bind, type GrpcServer, grpcClient, startGrpcServer } from './index.ts';

const GET = '/evenfall.v1.EventService/GetEvent';
const STREAM = '/evenfall.v1.EventService/StreamCreateEvents';
const BATCH = '/evenfall.v1.EventService/BatchCreateEvents';
const KEY = { authorization: 'Bearer good' };
const FAILING = { authorization: 'Bearer failing' };
const MIB = 1024 * 1024;

for (const asksElsewhere of [false, true])
  describe(asksElsewhere ? 'a gRPC API with an external check of callers' : 'a gRPC API', () => {
    let server: GrpcServer;
    let handled = 0;
    let delayMs = 0;
    const unexpected: unknown[] = [];
    const sessions: ClientHttp2Session[] = [];
    const sockets: Socket[] = [];
    before(async () => {
      const notHere = async (): Promise<never> => {
        handled++;
        throw refuse('UNIMPLEMENTED', { detail: 'a fake' });
      };
      const implementation = Object.fromEntries(Object.keys(EventServiceService).map((name) => [name, notHere]));
      server = await startGrpcServer({
        host: '127.0.0.1',
        port: 0,
        services: [
          bind(EventServiceService, {
            ...implementation,
            async streamCreateEvents(requests: AsyncIterable<unknown>) {
              for await (const request of requests) if (request !== undefined) handled++;
              return { eventIds: [], refused: [] };
            },
          } as never), // only what is called here
        ],
        authorize(head) {
          const check = (): void => {
            if (head.header('authorization') === FAILING.authorization) throw new Error('not foreseen');
            if (head.header('authorization') !== KEY.authorization) throw refuse('UNAUTHENTICATED', { detail: 'no' });
          };
          if (asksElsewhere) return new Promise((resolve) => setImmediate(resolve)).then(check);
          check();
          return undefined;
        },
        onUnexpected: (error) => void unexpected.push(error),
        delayMs: () => delayMs,
        limits: {
          connections: { admit: () => true, strangerMs: 1_500 },
          maxStreams: 100,
          idleMs: 60_000,
          messages: (path) => ({ maxBytes: path === BATCH ? 4 * MIB : 64 * 1024, withinMs: 700 }),
        },
      });
    });
    beforeEach(() => {
      handled = 0;
      delayMs = 0;
    });
    after(async () => {
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
      await server.stop(100);
    });

    const open = (): ClientHttp2Session => {
      const session = connectHttp2(`http://127.0.0.1:${server.port}`, { maxSessionMemory: 1000 });
      session.on('error', () => undefined); // it may be closed from the other side
      sessions.push(session);
      return session;
    };
    const ask = (session: ClientHttp2Session, path: string, headers: IncomingHttpHeaders = {}): ClientHttp2Stream => {
      const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...headers });
      stream.on('error', () => undefined); // it may be reset
      return stream;
    };
    /** The status of a call, or how its stream ended. */
    const statusOf = async (stream: ClientHttp2Stream): Promise<string> => {
      let status = '';
      stream.on('response', (answer) => (status ||= String(answer['grpc-status'] ?? '')));
      stream.on('trailers', (trailers: IncomingHttpHeaders) => (status ||= String(trailers['grpc-status'])));
      stream.resume();
      if (!stream.closed) await once(stream, 'close');
      return status || `reset ${stream.rstCode}`;
    };
    /** The head of a message that says it has so many bytes. */
    const prefix = (bytes: number): Buffer => {
      const head = Buffer.alloc(5);
      head.writeUInt32BE(bytes, 1);
      return head;
    };

    it('takes no message of a stranger: 58 MB of each of 20 are not even sent', async () => {
      const sent = await Promise.all(
        Array.from({ length: 20 }, async () => {
          const session = open();
          const stream = ask(session, BATCH);
          stream.write(prefix(58 * MIB));
          const chunk = Buffer.alloc(MIB);
          for (let n = 0; n < 58; n++) stream.write(chunk);
          assert.equal(await statusOf(stream), '16');
          const bytes = session.socket.bytesWritten;
          session.destroy();
          return bytes;
        }),
      );
      assert.ok(Math.max(...sent) < 256 * 1024, `${sent.join(' ')} bytes were taken`);
      assert.equal(handled, 0);
    });

    it('answers unexpected failures, and goes on', async () => {
      assert.equal(await statusOf(ask(open(), GET, FAILING)), '13');
      assert.equal(unexpected.length, 1);
      assert.equal(handled, 0);
    });

    it('does not mind callers that leave before it is known who they are', async () => {
      const session = open();
      const left = Array.from({ length: 50 }, () => ask(session, GET, KEY));
      for (const stream of left) stream.close();
      const stream = ask(session, GET, KEY);
      stream.end(Buffer.concat([prefix(0)]));
      assert.equal(await statusOf(stream), '12');
      assert.equal(handled, 1);
    });

    it('takes of each method no more than it needs, key or not', async () => {
      for (const [path, bytes] of [
        [GET, 58 * MIB],
        [GET, 64 * 1024 + 1],
        [BATCH, 58 * MIB],
        [STREAM, MIB],
      ] as const) {
        const session = open();
        const stream = ask(session, path, KEY);
        stream.write(prefix(bytes));
        for (let n = 0; n < 58; n++) stream.write(Buffer.alloc(MIB));
        assert.equal(await statusOf(stream), '8', `${path} ${bytes}`);
        assert.ok(session.socket.bytesWritten < 512 * 1024, `${session.socket.bytesWritten} bytes of ${path}`);
        session.destroy();
      }
      assert.equal(handled, 0);
      const fits = ask(open(), GET, KEY);
      fits.end(Buffer.concat([prefix(0), Buffer.alloc(0)]));
      assert.equal(await statusOf(fits), '12');
      assert.equal(handled, 1);
    });

    it('counts of what is compressed what comes out', async () => {
      const { gzipSync } = await import('node:zlib');
      const packed = gzipSync(Buffer.alloc(8 * MIB));
      const head = prefix(packed.length);
      head[0] = 1;
      const stream = ask(open(), BATCH, { ...KEY, 'grpc-encoding': 'gzip' });
      stream.end(Buffer.concat([head, packed]));
      assert.equal(await statusOf(stream), '8');
      assert.equal(handled, 0);
    });

    it('waits for no message for ever: not for the first, not for the rest of one, not for the next', async () => {
      for (const [path, bytes] of [
        [GET, Buffer.alloc(0)],
        [GET, prefix(1_000)],
        [BATCH, Buffer.concat([prefix(2 * MIB), Buffer.alloc(MIB)])],
        [STREAM, Buffer.alloc(0)],
        [STREAM, prefix(0)],
      ] as const) {
        const stream = ask(open(), path, KEY);
        if (bytes.length > 0) stream.write(bytes);
        const began = performance.now();
        assert.equal(await statusOf(stream), '4', path);
        assert.ok(performance.now() - began < 3_000);
      }
    });

    it('lets a stream be for as long as messages come', async () => {
      const stream = ask(open(), STREAM, KEY);
      const began = performance.now();
      await eventually(() => {
        stream.write(prefix(0));
        return performance.now() - began > 1_500;
      }, 5_000);
      stream.end();
      assert.equal(await statusOf(stream), '0');
    });

    it('has at most 100 calls at a time on one connection', async () => {
      const session = open();
      await once(session, 'remoteSettings');
      assert.equal(session.remoteSettings.maxConcurrentStreams, 100);
    });

    it('closes connections that show no key, and keeps those that did', async () => {
      const silent = connect(server.port, '127.0.0.1');
      silent.resume();
      sockets.push(silent);
      const probing = open();
      const health = ask(probing, '/grpc.health.v1.Health/Check');
      health.end(prefix(0));
      assert.equal(await statusOf(health), '0', 'probes have no key');
      const good = open();
      const first = ask(good, GET, KEY);
      first.end(prefix(0));
      assert.equal(await statusOf(first), '12');
      await Promise.all([once(silent, 'close'), once(probing, 'close')]);
      const second = ask(good, GET, KEY);
      second.end(prefix(0));
      assert.equal(await statusOf(second), '12');
    });

    it('has who guesses wait, and hangs up on who does not', async () => {
      delayMs = 400;
      const patient = ask(open(), GET);
      patient.end(prefix(0));
      const began = performance.now();
      assert.equal(await statusOf(patient), '16');
      assert.ok(performance.now() - began >= 390);
      const session = open();
      const [one, two] = [ask(session, GET), ask(session, GET)];
      for (const stream of [one, two]) stream.end(prefix(0));
      assert.deepEqual(
        (await Promise.all([statusOf(one), statusOf(two)])).map((status) => status.startsWith('reset')),
        [true, true],
      );
      const { client, close } = grpcClient(EventServiceService, `127.0.0.1:${server.port}`, { headers: KEY });
      const start = performance.now();
      await assert.rejects(client.getEvent({ id: 'x' }), { reason: 'UNIMPLEMENTED' });
      assert.ok(performance.now() - start < 300, 'a good key does not wait');
      close();
    });
  });
