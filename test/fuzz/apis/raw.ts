import { connect } from 'node:net';
import { pick, type Random } from '../../support/random.ts';
import { type Attack, bytes, type Target, wholeNumber } from './target.ts';

const WITHIN_MS = 2_000;
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** Bytes that are no request, or nearly one, to any of the APIs. */
export const sendBytes: Attack = (target, random, from) => {
  const api = pick(random, ['http', 'http', 'grpc', 'grpc', 'metrics'] as const);
  const output = api === 'grpc' ? http2Bytes(random) : http1Bytes(random, target);
  return new Promise((resolve) => {
    const [host = '', port = ''] = (api === 'grpc' ? target.grpc : new URL(api === 'http' ? target.http : target.metrics).host).split(':');
    const socket = connect({ host, port: Number(port), localAddress: from });
    let answer = '';
    const late = setTimeout(() => socket.destroy(), wholeNumber(random, WITHIN_MS));
    socket.on('data', (chunk: Buffer) => {
      if (answer.length < 500) answer += chunk.toString('latin1');
    });
    socket.on('error', () => undefined); // hung up on
    socket.once('close', () => {
      clearTimeout(late);
      const status = /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1];
      resolve(
        `raw ${api} ${status === '500' ? `FAULT ${JSON.stringify(output.toString('latin1').slice(0, 200))} ${answer}` : (status ?? 'closed')}`,
      );
    });
    if (random() < 0.3) {
      const half = wholeNumber(random, output.length);
      socket.write(output.subarray(0, half));
      setTimeout(() => socket.end(output.subarray(half)), wholeNumber(random, 300)).unref();
    } else socket.write(output);
  });
};

function http1Bytes(random: Random, { http, accessKey }: Target): Buffer {
  const method = pick(random, ['GET', 'POST', 'PUT', 'DELETE', 'CONNECT', 'TRACE', 'OPTIONS', 'HEAD', 'get', 'X'.repeat(50), '']);
  const path = pick(random, [
    '/',
    '/v1/agents',
    '//x',
    '*',
    'http://elsewhere.example/',
    '/%',
    `/${'a'.repeat(20_000)}`,
    '/docs/../../../etc/passwd',
    '/\u0000',
  ]);
  const version = pick(random, ['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/0.9', 'HTTPS/1.1', '']);
  const heads = [
    'Content-Length: 5',
    'Content-Length: -1',
    'Content-Length: 99999999999',
    'Content-Length: 5\r\nContent-Length: 7',
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: chunked\r\nContent-Length: 3',
    'Transfer-Encoding: xchunked',
    'Expect: 100-continue',
    'Expect: 200-ok',
    'Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA',
    'Upgrade: websocket\r\nConnection: Upgrade',
    `X-Long: ${'y'.repeat(20_000)}`,
    Array.from({ length: 2_500 }, (_, i) => `X-${i}: 1`).join('\r\n'),
    ' folded: 1',
    'no colon',
    'Content-Type: application/json',
  ] as const;
  const head = [
    ...(random() < 0.8 ? [`Host: ${new URL(http).host}`] : []),
    ...(random() < 0.5 ? [`Authorization: Bearer ${accessKey}`] : []),
    ...Array.from({ length: wholeNumber(random, 4) }, () => pick(random, heads)),
  ].join(pick(random, ['\r\n', '\r\n', '\n', '\r']));
  const body = pick(random, [
    '',
    'hello',
    '5\r\nhello\r\n0\r\n\r\n',
    'ffffffffffffffff\r\nx',
    '-1\r\nx',
    '5;ext=1\r\nhello\r\n0\r\nX: y\r\n\r\n',
  ]);
  const one = Buffer.from(`${method} ${path} ${version}\r\n${head}\r\n\r\n${body}`, 'latin1');
  const drawn = wholeNumber(random, 6);
  if (drawn === 0) return bytes(random, 1 + wholeNumber(random, 3_000));
  if (drawn === 1) return Buffer.concat(Array.from({ length: 1 + wholeNumber(random, 50) }, () => one)); // one behind the other
  if (drawn === 2) one[wholeNumber(random, one.length)] = wholeNumber(random, 256);
  return one;
}

/** The preface, then frames: known types with lengths, flags, streams and contents as drawn. */
function http2Bytes(random: Random): Buffer {
  if (random() < 0.1) return bytes(random, 1 + wholeNumber(random, 2_000));
  const settings = frame(4, 0, 0, Buffer.alloc(0));
  const frames = Array.from({ length: wholeNumber(random, 40) }, () => {
    const length = pick(random, [0, 4, 5, 6, 8, 100, 16_384, 20_000]);
    return frame(
      wholeNumber(random, 12),
      wholeNumber(random, 256),
      pick(random, [0, 1, 1, 3, 5, 2, 2 ** 31 - 1]),
      bytes(random, Math.min(length, 2_000)),
      length,
    );
  });
  const floods = [
    () => Array.from({ length: 5_000 }, () => frame(4, 0, 0, Buffer.alloc(0))), // SETTINGS
    () => Array.from({ length: 5_000 }, () => frame(6, 0, 0, Buffer.alloc(8))), // PING
    () => Array.from({ length: 500 }, (_, i) => frame(3, 0, 2 * i + 1, Buffer.alloc(4))), // RST_STREAM
    () => [frame(1, 0, 1, bytes(random, 50)), ...Array.from({ length: 300 }, () => frame(9, 0, 1, bytes(random, 1_000)))], // CONTINUATION
    () => [frame(4, 0, 0, Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0, 0, 0]))],
  ] as const;
  const flood = random() < 0.2 ? pick(random, floods)() : [];
  return Buffer.concat([PREFACE, settings, ...flood, ...frames]);
}

function frame(type: number, flags: number, stream: number, payload: Buffer, length = payload.length): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream >>> 0, 5);
  return Buffer.concat([head, payload]);
}
