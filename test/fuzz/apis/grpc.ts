import { connect } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { pick, type Random } from '../../support/random.ts';
import { type Attack, authorization, bytes, wholeNumber, WORDS } from './target.ts';

const WITHIN_MS = 3_000;
const READ_BYTES = 256 * 1024;
/** Codes of gRPC that a caller must not be able to bring about: INTERNAL, UNKNOWN and DATA_LOSS. */
const FAULTS = new Set(['13', '2', '15']);
/** What @grpc/grpc-js itself answers with INTERNAL, as the protocol says, to calls that are not gRPC. */
const BROKEN = /^(Error deserializing request|Invalid grpc-timeout|Received message with unknown compression|Received compressed message)/;

/** Methods called with messages of any fields, frames that lie about their length, and streams that are reset. */
export const callMethods: Attack = (target, random, from) =>
  new Promise((resolve) => {
    const [host = '', port = ''] = target.grpc.split(':');
    const session = connect(`http://${target.grpc}`, {
      createConnection: () => connectSocket({ host, port: Number(port), localAddress: from }),
    });
    const outcomes: string[] = [];
    const calls = 1 + wholeNumber(random, random() < 0.1 ? 200 : 5);
    let open = calls;
    const end = (): void => {
      clearTimeout(late);
      session.destroy();
      resolve([...outcomes, ...Array.from({ length: open }, () => 'no answer')].map((outcome) => `grpc ${outcome}`));
    };
    const late = setTimeout(end, WITHIN_MS);
    session.on('error', () => undefined); // its streams report it
    session.once('close', end);
    for (let i = 0; i < calls; i++) {
      const path = random() < 0.95 ? (target.methods[wholeNumber(random, target.methods.length)] ?? '') : '/no.Such/Method';
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': pick(random, ['application/grpc', 'application/grpc', 'application/grpc', 'application/grpc+json', 'text/plain']),
        te: 'trailers',
        ...authorization(random, target),
        ...(random() < 0.1 ? { 'grpc-timeout': pick(random, ['1n', '99999999H', '-1S', 'x', '10m']) } : {}),
        ...(random() < 0.1 ? { 'grpc-encoding': pick(random, ['gzip', 'deflate', 'x']) } : {}),
        ...(random() < 0.1 ? { 'x-bin': bytes(random, 50).toString('base64') } : {}),
      });
      let code = 'none';
      let read = 0;
      let message = '';
      const readHeaders = (headers: Readonly<Record<string, string | string[] | number | undefined>>): void => {
        if (headers['grpc-status'] !== undefined) code = String(headers['grpc-status']);
        message = String(headers['grpc-message'] ?? message);
      };
      stream.on('response', readHeaders);
      stream.on('trailers', readHeaders);
      stream.on('data', (chunk: Buffer) => {
        read += chunk.length;
        if (read > READ_BYTES) stream.close();
      });
      stream.on('error', () => undefined); // reset
      stream.once('close', () => {
        outcomes.push(FAULTS.has(code) && !BROKEN.test(decodeURIComponent(message)) ? `${code} FAULT ${path} ${message}` : code);
        if (--open === 0) end();
      });
      if (random() < 0.1) stream.close(8);
      else stream.end(framed(random));
    }
  });

/** Code in pieces: of one function or of several, empty, too many, too late, without an end, or of bytes that are no package. */
export const streamCode: Attack = (target, random, from) =>
  new Promise((resolve) => {
    const [host = '', port = ''] = target.grpc.split(':');
    const session = connect(`http://${target.grpc}`, {
      createConnection: () => connectSocket({ host, port: Number(port), localAddress: from }),
    });
    const end = (outcome: string): void => {
      clearTimeout(late);
      session.destroy();
      resolve(`code ${outcome}`);
    };
    const late = setTimeout(() => end('no answer'), WITHIN_MS);
    const path = '/evenfall.v1.FunctionService/StreamUpdateFunctionCode';
    session.on('error', () => end('closed'));
    const stream = session.request({
      ...{ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' },
      ...authorization(random, target),
    });
    const readHeaders = (headers: Readonly<Record<string, string | string[] | number | undefined>>): void => {
      const code = headers['grpc-status'];
      if (code !== undefined) end(FAULTS.has(String(code)) ? `${String(code)} FAULT ${String(headers['grpc-message'])}` : String(code));
    };
    stream.on('response', readHeaders);
    stream.on('trailers', readHeaders);
    stream.on('error', () => end('reset'));
    stream.resume();
    const zip = Buffer.from(target.code, 'base64');
    const size = pick(random, [1, 10, zip.length]);
    const count = random() < 0.1 ? 5_000 : Math.ceil(zip.length / size);
    for (let n = 0; n < count && !stream.destroyed; n++) {
      const name = random() < 0.02 ? pick(random, WORDS) : 'fuzz';
      const chunk = random() < 0.02 ? bytes(random, 50) : zip.subarray(n * size, (n + 1) * size);
      stream.write(framedAs(Buffer.concat([textField(1, 'fuzz'), textField(2, name), textField(3, chunk)])));
    }
    if (random() < 0.1) stream.close(8);
    else if (random() < 0.8) stream.end();
  });

function textField(field: number, content: string | Buffer): Buffer {
  const data = typeof content === 'string' ? Buffer.from(content) : content;
  return Buffer.concat([varint((field << 3) | 2), varint(data.length), data]);
}

function framedAs(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function framed(random: Random): Buffer {
  const message = anyMessage(random, 3);
  const head = Buffer.alloc(5);
  head.writeUInt8(random() < 0.95 ? 0 : wholeNumber(random, 256));
  head.writeUInt32BE(random() < 0.95 ? message.length : wholeNumber(random, 2 ** 32), 1);
  return Buffer.concat([head, message]);
}

/** Fields 1 to 16 of any type, nested; sometimes bytes that are no message. */
function anyMessage(random: Random, depth: number): Buffer {
  if (random() < 0.1) return bytes(random, wholeNumber(random, 100));
  return Buffer.concat(Array.from({ length: wholeNumber(random, 6) }, () => anyField(random, depth)));
}

function anyField(random: Random, depth: number): Buffer {
  const field = 1 + wholeNumber(random, 16);
  const type = pick(random, [0, 1, 2, 2, 2, 5]);
  const tag = varint((field << 3) | type);
  if (type === 0) return Buffer.concat([tag, varint(pick(random, [0, 1, 2, 100, 2 ** 31, 2 ** 40]))]);
  if (type === 1) return Buffer.concat([tag, bytes(random, 8)]);
  if (type === 5) return Buffer.concat([tag, bytes(random, 4)]);
  const content =
    depth > 0 && random() < 0.4 ? anyMessage(random, depth - 1) : random() < 0.8 ? Buffer.from(pick(random, WORDS)) : bytes(random, 20);
  return Buffer.concat([tag, varint(content.length), content]);
}

function varint(value: number): Buffer {
  const found: number[] = [];
  let left = value;
  for (; left >= 128; left = Math.floor(left / 128)) found.push((left % 128) | 128);
  return Buffer.from([...found, left]);
}
