// What callers without a key get from the HTTP APIs: bounded bytes, bounded time, slow guesses; and callers with a key are served beside them.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { after, describe, it } from 'node:test';
import { silentLog } from '@evenfall/telemetry';
import { eventually } from '@evenfall/testkit';
import { startGateway } from '../service.ts';
import { fakeWorld } from '../testing/fakes.ts';
import { call, callScf, KEY, openApis, SETTINGS, WITH_KEY } from '../testing/harness.ts';
import { tc3Headers } from '../testing/tc3.ts';

const MIB = 1024 * 1024;
const K = '/v1/namespaces/default/functions/killer';
/** What two sockets of one machine may hold between them. */
const BETWEEN_SOCKETS = 12 * MIB;
const outer = Object.values(networkInterfaces())
  .flatMap((of) => of ?? [])
  .find(({ internal, family }) => !internal && family === 'IPv4')?.address;
const closeOf = (socket: Socket): Promise<void> =>
  new Promise((resolve) => (socket.closed ? resolve() : socket.once('close', () => resolve())));
const statusOf = (said: string): number => Number(/^HTTP\/1\.1 (\d+)/.exec(said)?.[1]);

describe('callers without a key at the HTTP APIs', () => {
  const apis = openApis();
  const sockets: Socket[] = [];
  after(() => sockets.forEach((socket) => socket.destroy()));

  /** Opens a connection and sends a head. */
  const begin = (head: readonly string[]): { readonly socket: Socket; said(): string } => {
    const socket = connect(apis.gateway.httpPort, '127.0.0.1');
    let said = '';
    socket.on('data', (chunk: Buffer) => (said += chunk.toString('latin1')));
    socket.on('error', () => undefined); // it may be closed from the other side
    sockets.push(socket);
    socket.write(`${head.join('\r\n')}\r\n\r\n`);
    return { socket, said: () => said };
  };
  /** Sends as much as is taken of so many bytes; answers how many that were. */
  const pour = async (socket: Socket, bytes: number): Promise<number> => {
    const chunk = Buffer.alloc(256 * 1024, 'a');
    const closed = closeOf(socket);
    for (let left = bytes; left > 0 && !socket.destroyed; left -= chunk.length)
      if (!socket.write(chunk)) await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), closed]);
    return socket.bytesWritten - socket.writableLength;
  };
  const HOST = 'Host: localhost';
  const JSON_TYPE = 'Content-Type: application/json';

  it('are read no further than the head, for every route', async () => {
    for (const [method, path] of [
      ['POST', `${K}/events`],
      ['POST', `${K}/events:batchCreate`],
      ['POST', '/v1/namespaces/default/functions'],
      ['PUT', `${K}/code`],
      ['POST', '/nowhere'],
    ] as const)
      for (const more of [[], ['Authorization: Bearer test:not-the-secret'], ['Origin: https://evil.example']]) {
        const length = path.endsWith('code') ? 'Transfer-Encoding: chunked' : `Content-Length: ${200 * MIB}`;
        const { socket, said } = begin([`${method} ${path} HTTP/1.1`, HOST, JSON_TYPE, length, ...more]);
        const taken = await pour(socket, 200 * MIB);
        assert.ok(taken < BETWEEN_SOCKETS, `${taken} bytes of ${method} ${path}`);
        await eventually(() => socket.destroyed);
        assert.match(said(), /^(HTTP\/1\.1 40[13] .*|)/);
        apis.world.codes.length = 0;
      }
  });

  it('are not asked for a body that waits to be asked for', async () => {
    const expecting = (...more: string[]) => [
      `POST ${K}/events HTTP/1.1`,
      HOST,
      JSON_TYPE,
      'Expect: 100-continue',
      'Connection: close',
      ...more,
    ];
    const large = `Content-Length: ${60 * MIB}`;
    for (const [head, status] of [
      [expecting('Content-Length: 10'), 401],
      [expecting('Content-Length: 10', 'Authorization: Bearer test:not-the-secret'), 401],
      [expecting(large, `Authorization: ${WITH_KEY.authorization}`), 413],
      [expecting('Content-Length: 10', 'Origin: https://evil.example'), 403],
    ] as const) {
      const { socket, said } = begin(head);
      await closeOf(socket);
      assert.equal(statusOf(said()), status, said());
      assert.doesNotMatch(said(), /100 Continue/);
    }
    const signed = tc3Headers({ ...KEY, host: 'localhost', body: '{}' });
    const scf = (id: string, length: number) => [
      'POST / HTTP/1.1',
      HOST,
      ...Object.entries({ ...signed, 'x-tc-action': 'GetAccount', 'x-tc-version': '2018-04-16' }).map(
        ([name, value]) => `${name}: ${value.replace('Credential=test/', `Credential=${id}/`)}`,
      ),
      'Expect: 100-continue',
      `Content-Length: ${length}`,
    ];
    for (const id of ['eve', 'test']) {
      const { socket, said } = begin(scf(id, 5 * MIB));
      await eventually(() => said().includes('RequestSizeLimitExceeded'));
      assert.doesNotMatch(said(), /100 Continue/);
      socket.destroy();
    }
    for (const [id, body, expected] of [
      ['eve', '{}', 'AuthFailure.SignatureFailure'],
      ['test', '[]', 'AuthFailure.SignatureFailure'], // not what was signed
      ['test', '{}', '"AccountUsage"'],
    ] as const) {
      const { socket, said } = begin(scf(id, 2));
      await eventually(() => said() === 'HTTP/1.1 100 Continue\r\n\r\n');
      socket.write(body);
      await eventually(() => said().includes(expected));
      socket.destroy();
    }
  });

  it('receive a refusal for a form that is too large, and for an unknown id the same as for a wrong secret', async () => {
    const form = begin(['POST / HTTP/1.1', HOST, 'Content-Type: application/x-www-form-urlencoded', `Content-Length: ${16 * MIB}`]);
    await pour(form.socket, 16 * MIB);
    await eventually(() => form.said().includes('RequestSizeLimitExceeded'));
    const body = Buffer.alloc(40 * MIB, ' ');
    const code = {
      action: 'CreateFunction',
      signed: tc3Headers({ id: 'eve', secret: 'no-secret-of-ours', host: new URL(apis.url).host, body }),
    };
    for (let n = 0; n < 3; n++) {
      const { json } = await callScf(apis.url, code.action, body, code.signed);
      assert.equal((json as { Response: { Error: { Code: string } } }).Response.Error.Code, 'AuthFailure.SignatureFailure');
    }
  });
});

describe('guesses of keys', () => {
  const apis = openApis();

  it('are slowed down, and no caller with a key is', async () => {
    const guess = async (n: number): Promise<number> => {
      const { status } = await call(`${apis.url}/v1/agents`, 'GET', undefined, { authorization: `Bearer test:guess-number-${n}` });
      return status;
    };
    for (let n = 0; n < 10; n++) assert.equal(await guess(n), 401);
    const began = performance.now();
    const waiting = [11, 12, 13].map(guess);
    for (let n = 0; n < 20; n++) {
      const asked = performance.now();
      assert.equal((await call(`${apis.url}/v1/agents`, 'GET')).status, 200);
      assert.ok(performance.now() - asked < 400);
    }
    assert.deepEqual(await Promise.all(waiting), [401, 401, 401]);
    assert.ok(performance.now() - began > 1_900, 'half a second, one, and two');
  });

  it('by wrong signatures count as well, and are said once, with a count', async () => {
    const warnings: string[] = [];
    const log = {
      ...silentLog,
      warn: (message: string, fields: object = {}) => void warnings.push(`${message} ${JSON.stringify(fields)}`),
    };
    const gateway = await startGateway({ ...fakeWorld().ports, log }, SETTINGS);
    const url = `http://127.0.0.1:${gateway.httpPort}`;
    try {
      const guess = async (n: number): Promise<void> => {
        const signed = tc3Headers({ id: KEY.id, secret: `guess-number-${n}`, host: new URL(url).host, body: '{}' });
        assert.match((await callScf(url, 'GetAccount', {}, signed)).text, /SignatureFailure/);
      };
      for (let n = 0; n < 10; n++) await guess(n);
      const began = performance.now();
      await guess(10);
      assert.ok(performance.now() - began > 450);
      assert.match((await callScf(url, 'GetAccount', {})).text, /AccountUsage/);
      const said = warnings.filter((line) => /access key/.test(line));
      assert.equal(said.length, 2, said.join('\n'));
      assert.ok(said.every((line) => line.includes('127.0.0.1') && !line.includes('guess-number')));
    } finally {
      await gateway.stop();
    }
  });
});

describe('guesses within forms', () => {
  const apis = openApis();

  it('are slowed down like any other', async () => {
    const guess = async (n: number): Promise<void> => {
      const form = { Action: 'GetAccount', Version: '2018-04-16', Timestamp: String(Math.floor(Date.now() / 1_000)), SecretId: KEY.id };
      const body = new URLSearchParams({ ...form, Nonce: String(n), Signature: Buffer.from(`guess-number-${n}`).toString('base64') });
      assert.match(await (await fetch(apis.url, { method: 'POST', body })).text(), /SignatureFailure/);
    };
    for (let n = 0; n < 10; n++) await guess(n);
    const began = performance.now();
    await guess(10);
    assert.ok(performance.now() - began > 450);
  });
});

describe('signed requests of SCF', () => {
  const apis = openApis({ host: '0.0.0.0', allowedHosts: ['gateway'] });
  const behindTls = openApis({ host: '0.0.0.0', isScfBehindTls: true });

  it('are taken however equal they are: 50 calls within one second have one signature', async () => {
    const body = JSON.stringify({ FunctionName: 'killer', InvocationType: 'Event', ClientContext: '{"n":1}' });
    const signed = tc3Headers({ ...KEY, host: new URL(apis.url).host, body });
    const answers = await Promise.all(Array.from({ length: 50 }, () => callScf(apis.url, 'Invoke', body, signed)));
    const ids = answers.map(
      ({ json }) => (json as { Response: { Result?: { FunctionRequestId: string } } }).Response.Result?.FunctionRequestId,
    );
    assert.equal(new Set(ids).size, 50);
    assert.ok(!ids.includes(undefined));
  });

  it(
    'are taken from other machines only where there is TLS',
    { skip: outer === undefined && 'this machine has no address but loopback' },
    async () => {
      const at = (port: number): string => `http://${outer ?? ''}:${port}`;
      assert.match((await callScf(at(apis.gateway.httpPort), 'GetAccount', {})).text, /"UnsupportedProtocol".*EVENFALL_SCF_BEHIND_TLS/);
      assert.match((await callScf(apis.url, 'GetAccount', {})).text, /AccountUsage/, 'from this machine they are');
      assert.match((await callScf(at(behindTls.gateway.httpPort), 'GetAccount', {})).text, /AccountUsage/);
    },
  );
});

describe('connections', () => {
  const apis = openApis({ maxConnectionsPerAddress: 20 });

  it('of one address are bounded, and those that were there go on', async () => {
    const kept = new Set<Socket>();
    const opened = await Promise.all(
      Array.from({ length: 60 }, async () => {
        const socket = connect(apis.gateway.httpPort, '127.0.0.1');
        socket.on('error', () => undefined); // one too many is closed
        socket.resume();
        socket.once('close', () => kept.delete(socket));
        await once(socket, 'connect');
        kept.add(socket);
        return socket;
      }),
    );
    await eventually(() => kept.size === 20);
    const [first] = kept;
    first?.write(`GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    const [answer] = (await once(first ?? new Socket(), 'data')) as [Buffer];
    assert.equal(statusOf(answer.toString()), 200);
    for (const socket of opened) socket.destroy();
    await eventually(async () => (await call(`${apis.url}/healthz`, 'GET').catch(() => undefined))?.status === 200);
  });
});
