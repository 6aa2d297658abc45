// A body that is too large is refused before its end. Its sender, which still sends, receives the reason, and its connection stays open.
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { eventually } from '@evenfall/testkit';
import { KEY, openApis, WITH_KEY } from '../testing/harness.ts';
import { tc3Headers } from '../testing/tc3.ts';

const MIB = 1024 * 1024;
const PIECE = 64 * 1024;
const CHUNK = Buffer.concat([Buffer.from(`${PIECE.toString(16)}\r\n`), Buffer.alloc(PIECE, 'x'), Buffer.from('\r\n')]);
const FUNCTION = '/v1/namespaces/default/functions/killer';
const JSON_TYPE = { 'content-type': 'application/json' };

/** Until more can be written, or nothing any more. */
function goesOn(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
}

describe('A body that is too large', () => {
  const apis = openApis();
  const sockets: Socket[] = [];
  after(() => sockets.forEach((socket) => socket.destroy()));
  const headOf = (line: string, headers: Readonly<Record<string, string>>): string =>
    [`${line} HTTP/1.1`, ...Object.entries({ host: 'localhost', ...headers }).map(([name, value]) => `${name}: ${value}`), '', ''].join(
      '\r\n',
    );
  const signed = { ...tc3Headers({ ...KEY, host: 'localhost', body: '{}' }), 'x-tc-action': 'Invoke', 'x-tc-version': '2018-04-16' };

  const requests: readonly (readonly [string, string, Readonly<Record<string, string>>, number, RegExp])[] = [
    ['SCF', 'POST /', signed, 24 * MIB, /RequestSizeLimitExceeded/],
    ['an event', `POST ${FUNCTION}/events`, { ...WITH_KEY, ...JSON_TYPE }, 4 * MIB, /PAYLOAD_TOO_LARGE/],
    ['a call', `POST ${FUNCTION}:invoke`, { ...WITH_KEY, ...JSON_TYPE }, 16 * MIB, /PAYLOAD_TOO_LARGE/],
    ['code', `PUT ${FUNCTION}/code`, { ...WITH_KEY, 'content-type': 'application/zip' }, 72 * MIB, /CODE_PACKAGE_TOO_LARGE/],
  ];
  for (const [what, line, headers, bytes, expected] of requests)
    it(`is refused in words, and its connection goes on: ${what}`, { timeout: 60_000 }, async () => {
      const socket = connect(Number(new URL(apis.url).port), '127.0.0.1');
      sockets.push(socket);
      let said = '';
      const faults: Error[] = [];
      socket.on('data', (piece: Buffer) => (said += piece.toString('latin1')));
      socket.on('error', (error) => faults.push(error));
      socket.write(headOf(line, { ...headers, 'transfer-encoding': 'chunked' }));
      // On and on, also after the answer: a client that looks at it only when all is sent.
      for (let sent = 0; sent < bytes && socket.writable; sent += PIECE) {
        if (!socket.write(CHUNK)) await goesOn(socket);
        await turn();
      }
      socket.write('0\r\n\r\n');
      await eventually(() => expected.test(said) || faults.length > 0, 10_000);
      assert.deepEqual(faults, []);
      assert.match(said, expected);
      said = '';
      socket.write(headOf('GET /v1/agents', WITH_KEY));
      await eventually(() => said.startsWith('HTTP/1.1 200'), 10_000);
    });

  it('is not taken without end: the connection is closed in the end', { timeout: 60_000 }, async () => {
    const socket = connect(Number(new URL(apis.url).port), '127.0.0.1');
    sockets.push(socket);
    socket.on('data', () => undefined).on('error', () => undefined); // closed from the other side
    socket.write(headOf('POST /', { ...signed, 'transfer-encoding': 'chunked' }));
    while (socket.writable) {
      if (!socket.write(CHUNK)) await goesOn(socket);
      await turn();
    }
    assert.ok(socket.bytesWritten > 128 * MIB);
  });
});
