import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { connect, createServer, type Http2Stream, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { releaseStreams } from './release-streams.ts';

it('removes the listeners of a stream when the stream is over, and not before its last byte was read', async () => {
  releaseStreams();
  releaseStreams(); // once is enough
  const streams: Http2Stream[] = [];
  const keep = (message: unknown): void => void streams.push((message as { stream: Http2Stream }).stream);
  const channels = ['http2.client.stream.created', 'http2.server.stream.created'];
  for (const channel of channels) subscribe(channel, keep);
  const server = createServer();
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('data', () => undefined);
    stream.on('end', () => {
      stream.respond({ ':status': 200 });
      stream.end(Buffer.alloc(300_000, 'x'));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  try {
    const stream = session.request({ ':method': 'POST', ':path': '/' });
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      stream.pause(); // reads slowly: the other side is done long before
      setImmediate(() => stream.resume());
    });
    const closed = new Promise((resolve) => stream.once('close', resolve));
    stream.end('hello');
    await closed;
    assert.equal(bytes, 300_000);
    assert.equal(streams.length, 2);
    await eventually(() => streams.every((each) => each.eventNames().length === 0));
  } finally {
    for (const channel of channels) unsubscribe(channel, keep);
    session.close();
    server.close();
  }
});
