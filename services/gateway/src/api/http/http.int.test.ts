import assert from 'node:assert/strict';
import { request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { deflateSync, gzipSync } from 'node:zlib';
import { Event } from '@evenfall/contracts/v1/event';
import { silentLog } from '@evenfall/telemetry';
import { eventually } from '@evenfall/testkit';
import { type RunningGateway, startGateway } from '../../service.ts';
import { fakeWorld, type World } from '../../testing/fakes.ts';
import { KEY, SETTINGS, WITH_KEY } from '../../testing/harness.ts';
import { tc3Headers } from '../../testing/tc3.ts';

const ID = '01990000-0000-7000-8000-00000000000b';
const KILLER = '/v1/namespaces/default/functions/killer';
const JSON_TYPE = { 'content-type': 'application/json' };

describe('HTTP of the REST API', () => {
  const failures: unknown[] = [];
  let world: World;
  let gateway: RunningGateway;
  before(async () => {
    world = fakeWorld();
    world.events.set(ID, Event.create({ id: ID, state: 2 }));
    const log = { ...silentLog, error: (...args: unknown[]) => void failures.push(args) };
    gateway = await startGateway({ ...world.ports, log }, { ...SETTINGS, maxPayloadBytes: 1_000 });
  });
  after(async () => {
    await gateway.stop();
    assert.deepEqual(failures, [], 'nothing was logged as a failure of the platform');
  });

  /** Sends exactly this: no client tidies the path up, or knows the method. */
  const send = async (method: string, path: string, headers: Record<string, string> = {}, body?: Buffer | string) => {
    // Node frames no body of a GET or DELETE by itself.
    const framing = body === undefined || 'transfer-encoding' in headers ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const asked = request({ port: gateway.httpPort, host: '127.0.0.1', method, path, headers: { ...framing, ...WITH_KEY, ...headers } });
    const answered = new Promise<{ status: number; headers: Record<string, unknown>; body: string }>((resolve, reject) => {
      asked.on('error', reject);
      asked.on('response', (response) => {
        void text(response).then((all) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: all }), reject);
      });
    });
    asked.end(body);
    return answered;
  };
  const reasonOf = (body: string): string =>
    (JSON.parse(body) as { error: { details: { reason: string }[] } }).error.details[0]?.reason ?? '';

  const PATHS: readonly (readonly [string, string])[] = [
    ['/healthz', 'GET, HEAD, OPTIONS'],
    ['/v1/agents', 'GET, HEAD, OPTIONS'],
    ['/v1/agents/a1:drain', 'OPTIONS, POST'],
    ['/v1/namespaces/default/functions?x=1', 'GET, HEAD, OPTIONS, POST'],
    [KILLER, 'DELETE, GET, HEAD, OPTIONS, PATCH'],
    [`${KILLER}:invoke`, 'OPTIONS, POST'],
    [`${KILLER}/code`, 'OPTIONS, PUT'],
    [`${KILLER}/events`, 'GET, HEAD, OPTIONS, POST'],
    [`${KILLER}/events:batchCreate`, 'OPTIONS, POST'],
    [`/v1/events/${ID}`, 'GET, HEAD, OPTIONS'],
    [`/v1/events/${ID}:watch`, 'GET, HEAD, OPTIONS'],
    [`/v1/dead-letters/${ID}`, 'DELETE, GET, HEAD, OPTIONS'],
    ['/v1/purge', 'OPTIONS, POST'],
    ['/', 'OPTIONS, POST'],
    ['/docs', 'GET, HEAD, OPTIONS'],
  ];
  for (const [path, allow] of PATHS) {
    it(`answers other methods of ${path} with 405, and OPTIONS with what there is`, async () => {
      for (const method of ['DELETE', 'PUT', 'POST', 'PATCH', 'GET', 'QUERY', 'PROPFIND', 'TRACE']) {
        if (allow.includes(method)) continue;
        for (const body of [undefined, '{}', 'x']) {
          const {
            status,
            headers,
            body: said,
          } = await send(
            method,
            path,
            { 'evenfall-client': 'test', ...(body === undefined ? {} : { 'content-type': 'text/plain' }) },
            body,
          );
          assert.deepEqual([status, headers['allow'], reasonOf(said)], [405, allow, 'METHOD_NOT_ALLOWED'], `${method} ${said}`);
        }
      }
      const options = await send('OPTIONS', path);
      assert.deepEqual([options.status, options.headers['allow'], options.body], [204, allow, '']);
      if (!allow.includes('HEAD')) assert.equal((await send('HEAD', path)).status, 405);
    });
  }

  it('answers HEAD as GET, without a body', async () => {
    for (const [path] of PATHS.filter(([, allow]) => allow.includes('HEAD'))) {
      const head = await send('HEAD', path);
      assert.equal(head.body, '');
      if (path.endsWith(':watch')) assert.match(String(head.headers['content-type']), /^text\/event-stream/);
      else {
        const get = await send('GET', path);
        assert.deepEqual([head.status, head.headers['content-type']], [get.status, get.headers['content-type']], path);
      }
    }
    assert.equal((await send('HEAD', '/v1/events/nothing')).status, 404);
  });

  it('has nothing at other paths, whatever the method', async () => {
    for (const path of [
      '/nothing',
      '/v1',
      '/v1/events',
      '/docs/static/../',
      '/docs/static/..%2f..%2fpackage.json',
      '/docs/static/nothing',
      '//',
      '/v1/agents/',
    ]) {
      for (const method of ['GET', 'POST', 'OPTIONS', 'QUERY', 'HEAD']) {
        const { status } = await send(method, path, { 'evenfall-client': 'test' });
        assert.ok(status === 404 || (path.startsWith('/docs/') && (status === 405 || status === 204)), `${method} ${path}: ${status}`);
      }
    }
  });

  it('unpacks gzip, and counts what comes out', async () => {
    const accepted = () => world.accepted.at(-1)?.accepted?.payload.toString();
    const gzip = { ...JSON_TYPE, 'content-encoding': 'gzip' };
    const payload = `"${'a'.repeat(900)}"`;
    for (const headers of [gzip, { ...gzip, 'content-encoding': 'X-GZip' }, { ...gzip, 'transfer-encoding': 'chunked' }]) {
      const { status, body } = await send('POST', `${KILLER}/events`, headers, gzipSync(payload));
      assert.equal(status, 202, body);
      assert.equal(accepted(), payload);
    }
    assert.equal((await send('POST', `${KILLER}/events`, { ...JSON_TYPE, 'content-encoding': 'identity' }, '7')).status, 202);
    const batch = await send('POST', `${KILLER}/events:batchCreate`, gzip, gzipSync('{"events":[{"payload":1.0}]}'));
    assert.equal(batch.status, 202);
    assert.equal(accepted(), '1.0');
    const patched = await send('PATCH', KILLER, gzip, gzipSync('{"timeout":"5s"}'));
    assert.equal(patched.status, 200);
    const code = await send('PUT', `${KILLER}/code`, { 'content-type': 'application/zip', 'content-encoding': 'gzip' }, gzipSync('zip'));
    assert.equal(code.status, 200);
    assert.equal(world.codes.at(-1)?.toString(), 'zip');
    for (const bytes of [1_001, 50_000_000]) {
      const bomb = await send('POST', `${KILLER}/events`, gzip, gzipSync(Buffer.alloc(bytes, '1')));
      assert.deepEqual([bomb.status, reasonOf(bomb.body)], [413, 'PAYLOAD_TOO_LARGE'], bomb.body);
    }
  });

  it('refuses what is not gzip, and other encodings by their name', async () => {
    for (const bytes of [Buffer.from('{}'), gzipSync('{"a":1}').subarray(0, 15), Buffer.alloc(0)]) {
      const { status, body } = await send('POST', `${KILLER}/events`, { ...JSON_TYPE, 'content-encoding': 'gzip' }, bytes);
      assert.deepEqual([status, reasonOf(body)], [400, 'INVALID_REQUEST'], body);
    }
    for (const encoding of ['br', 'deflate', 'gzip, gzip', 'zstd', 'nonsense']) {
      for (const [method, path, type] of [
        ['POST', `${KILLER}/events`, 'application/json'],
        ['POST', `${KILLER}/events:batchCreate`, 'application/json'],
        ['PATCH', KILLER, 'application/json'],
        ['PUT', `${KILLER}/code`, 'application/zip'],
      ] as const) {
        const { status, headers, body } = await send(
          method,
          path,
          { 'content-type': type, 'content-encoding': encoding },
          deflateSync('{}'),
        );
        assert.deepEqual([status, reasonOf(body), headers['accept-encoding']], [415, 'UNSUPPORTED_ENCODING', 'gzip'], path);
        assert.ok(body.includes(encoding));
      }
    }
    const signed = tc3Headers({ ...KEY, host: `127.0.0.1:${gateway.httpPort}`, body: gzipSync('{}') });
    const scf = { ...signed, 'x-tc-action': 'GetAccount', 'x-tc-version': '2018-04-16', 'content-encoding': 'gzip' };
    assert.match((await send('POST', '/', scf, gzipSync('{}'))).body, /"Code":"InvalidRequest"/);
  });

  it('takes a caller that goes away as no failure', async () => {
    for (const [path, head] of [
      [`${KILLER}/events`, ''],
      [`${KILLER}/events`, 'content-encoding: gzip\r\n'],
      ['/', 'x-tc-action: GetAccount\r\nx-tc-version: 2018-04-16\r\n'],
    ] as const) {
      const before = world.accepted.length;
      const socket = connect(gateway.httpPort, '127.0.0.1');
      await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
      socket.write(
        `POST ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: ${WITH_KEY.authorization}\r\ncontent-type: application/json\r\ncontent-length: 500\r\n${head}\r\n{"half":`,
      );
      await eventually(async () => (await send('GET', '/healthz')).status === 200);
      socket.destroy();
      await eventually(async () => (await send('GET', '/healthz')).status === 200);
      assert.equal(world.accepted.length, before);
    }
  });
});
