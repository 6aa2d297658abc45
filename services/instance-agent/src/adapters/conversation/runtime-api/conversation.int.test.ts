import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, get as httpGet } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { MAX_RESULT_BYTES } from '../../../domain/runtime-answer.ts';
import { eventually } from '@evenfall/testkit';
import type { Conversation, ConversationEvents } from '../../../ports.ts';
import { findConnectionOwners } from '../../network/connection-owners.ts';
import { hostNetwork } from '../../network/host-network.ts';
import { runtimeApiConversation } from './conversation.ts';

type Reported = readonly [name: string, ...rest: unknown[]];

const LAMBDA = '/2018-06-01/runtime';
const FC = '/2020-11-11/runtime';
const DEADLINE = 1_900_000_000_000;

const closed = (socket: Socket): Promise<unknown> => new Promise((resolve) => socket.on('error', () => undefined).once('close', resolve));

describe('The runtime API of an instance', () => {
  let open: (needsSecret: boolean) => Promise<Conversation>;
  let talk: Conversation;
  let reported: Reported[];
  let url: string;
  let port: number;
  beforeEach(async () => {
    reported = [];
    const events: ConversationEvents = {
      onGreeted: () => undefined,
      onLoaded: () => void reported.push(['loaded']),
      onLoadFailed: (fault) => void reported.push(['load failed', fault.statusCode, JSON.parse(fault.error?.toString() ?? 'null')]),
      onAnswered: (seq, body) => void reported.push(['answered', seq, body.toString()]),
      onFailed: (seq, { statusCode, error }) => void reported.push(['failed', seq, statusCode, JSON.parse(error.toString())]),
      onReceived: () => undefined,
      onFree: () => undefined,
      onFinished: () => void reported.push(['finished']),
      onExtensionRequested: (ms) => ({ grantedMs: Math.min(ms, 1_000), reason: ms > 1_000 ? 'that is the most' : '' }),
      onHandlers: () => undefined,
      onHookEnded: (seq, ok, text) => void reported.push(['hook ended', seq, ok, text]),
      onBroken: (text) => void reported.push(['broken', text]),
    };
    const fn = { ...FunctionMessage.create(), namespace: 'default', name: 'f', version: '$LATEST', memoryMb: 128, handler: 'h' };
    const owners = await findConnectionOwners();
    open = (needsSecret) => {
      const network = hostNetwork(owners, needsSecret);
      return runtimeApiConversation({ instanceId: 'i', fn, codeDir: '/code', timeoutMs: 3_000, initTimeoutMs: 1_000, network }, events);
    };
    talk = await open(false);
    url = `http://${talk.variables.fixed['AWS_LAMBDA_RUNTIME_API'] ?? ''}`;
    port = Number(talk.variables.fixed['SCF_RUNTIME_API_PORT']);
    talk.greet(() => undefined, undefined);
    talk.load();
  });
  afterEach(() => talk.close());

  it('answers no caller without the secret, where the network is shared with others of the same user', async () => {
    const guarded = await open(true);
    guarded.greet(() => undefined, undefined);
    guarded.load();
    const { fixed } = guarded.variables;
    const [address, secret] = (fixed['AWS_LAMBDA_RUNTIME_API'] ?? '').split('/');
    assert.match(secret ?? '', /^[0-9a-f]{32}$/);
    assert.equal(`${fixed['SCF_RUNTIME_API']}:${fixed['SCF_RUNTIME_API_PORT']}`, `${address}/${secret}`);
    const { pathname } = new URL(`http://x${LAMBDA}/invocation/next`);
    for (const wrong of ['', `/${'0'.repeat(32)}`, `/${secret}0`, `/${secret?.slice(1)}`, `/x/../${secret}x`])
      await assert.rejects(fetch(`http://${address}${wrong}${pathname}`), `"${wrong}" gets in`);
    assert.deepEqual(reported, []);
    const next = fetch(`http://${address}/${secret}${pathname}`);
    await loaded();
    guarded.invoke({ seq: 1, requestId: 'id-1', payload: Buffer.from('{}'), deadlineTimeMs: DEADLINE });
    assert.equal((await next).status, 200);
    const more = await fetch(`http://${address}/${secret}/evenfall/v1/extend?ms=5`, { method: 'POST' });
    assert.deepEqual(await more.json(), { granted_ms: 5, reason: '' });
    guarded.close();
  });

  const get = (path: string) => fetch(`${url}${path}`);
  const post = (path: string, body: string | Uint8Array = '', headers: Record<string, string> = {}) =>
    fetch(`${url}${path}`, { method: 'POST', body, headers });
  const invoke = (seq: number, payload = '{"n":1}', requestId = `id-${seq}`) =>
    talk.invoke({ seq, requestId, payload: Buffer.from(payload), deadlineTimeMs: DEADLINE });
  /** The first request for an event is there. */
  const loaded = () => eventually(() => reported.length === 1 && reported[0]?.[0] === 'loaded', 10_000);
  const typeOf = async (response: Response) => [response.status, ((await response.json()) as { errorType: string }).errorType];

  it('gives Lambda’s clients an event with the headers they need, once there is one, and accepts the answer with 202', async () => {
    const next = get(`${LAMBDA}/invocation/next`);
    await loaded();
    invoke(1);
    const event = await next;
    assert.deepEqual(
      ['aws-request-id', 'deadline-ms', 'invoked-function-arn'].map((name) => event.headers.get(`lambda-runtime-${name}`)),
      ['id-1', String(DEADLINE), 'arn:aws:lambda:local:000000000000:function:f:$LATEST'],
    );
    assert.equal(await event.text(), '{"n":1}');
    const answer = await post(`${LAMBDA}/invocation/id-1/response`, '{"m":2}');
    assert.deepEqual([answer.status, await answer.json()], [202, { status: 'OK' }]);
    assert.deepEqual(reported.at(-1), ['answered', 1, '{"m":2}']);
  });

  it('gives a function that is being stopped more time, or explains why not', async () => {
    const asked = await post('/evenfall/v1/extend?ms=400');
    assert.deepEqual([asked.status, await asked.json()], [200, { granted_ms: 400, reason: '' }]);
    assert.deepEqual(await (await post('/evenfall/v1/extend?ms=5000')).json(), { granted_ms: 1_000, reason: 'that is the most' });
    for (const query of ['', '?ms=', '?ms=-1', '?ms=1e9', '?ms=12345678901'])
      assert.equal((await post(`/evenfall/v1/extend${query}`)).status, 400);
    assert.equal((await get('/evenfall/v1/extend?ms=1')).status, 405);
  });

  it('closes a connection that sends request after request without reading an answer', async () => {
    for (const path of ['/2020-01-01/extension/event/next', `${FC}/invocation/next`, `${LAMBDA}/invocation/next`, '/none']) {
      const socket = connect(port, '127.0.0.1');
      const closed = new Promise((resolve) => socket.on('error', () => undefined).once('close', resolve));
      socket.pause();
      socket.write(
        `GET /2020-01-01/extension/event/next HTTP/1.1\r\nHost: x\r\n\r\n${`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(1_000)}`,
      );
      socket.resume();
      await closed;
    }
    assert.equal((await get('/2018-06-01/ping')).status, 200);
  });

  it('serves a client that keeps its connection, one request after the other', async () => {
    const connections = new Agent({ keepAlive: true, maxSockets: 1 });
    const ping = () =>
      new Promise((resolve, reject) => {
        httpGet(`${url}/2018-06-01/ping`, { agent: connections }, (response) =>
          response.resume().once('end', () => resolve(response.statusCode)),
        ).once('error', reject);
      });
    for (let i = 0; i < 50; i++) assert.equal(await ping(), 200);
    connections.destroy();
  });

  it('refuses Lambda’s clients what is out of turn: 400 for a wrong id, 403 for a wrong moment', async () => {
    assert.deepEqual(await typeOf(await post(`${LAMBDA}/invocation/id-1/response`)), [400, 'InvalidRequestID']);
    const held = get(`${LAMBDA}/invocation/next`).catch(() => undefined);
    await loaded();
    assert.deepEqual(await typeOf(await get(`${LAMBDA}/invocation/next`)), [403, 'InvalidStateTransition'], 'one is held already');
    invoke(1);
    await held;
    assert.deepEqual(await typeOf(await get(`${LAMBDA}/invocation/next`)), [403, 'InvalidStateTransition'], 'it has work');
    assert.deepEqual(await typeOf(await post(`${LAMBDA}/invocation/other/response`)), [400, 'InvalidRequestID']);
    assert.equal((await post(`${LAMBDA}/invocation/id-1/response`, '1')).status, 202);
    assert.deepEqual(
      await typeOf(await post(`${LAMBDA}/invocation/id-1/response`, '2')),
      [403, 'InvalidStateTransition'],
      'answered twice',
    );
    assert.deepEqual(await typeOf(await post(`${LAMBDA}/invocation/id-1/error`, '{}')), [403, 'InvalidStateTransition']);
    assert.deepEqual(await typeOf(await post(`${LAMBDA}/init/error`, '{}')), [403, 'InvalidStateTransition'], 'it is initialized');
    assert.deepEqual(
      reported.filter(([name]) => name === 'answered'),
      [['answered', 1, '1']],
    );
  });

  it('accepts errors with their type, in a header or in the body, and lets no other types through', async () => {
    const fail = async (seq: number, body: string, headers: Record<string, string> = {}) => {
      invoke(seq);
      await (await get(`${LAMBDA}/invocation/next`)).text();
      assert.equal((await post(`${LAMBDA}/invocation/id-${seq}/error`, body, headers)).status, 202);
      return reported.at(-1)?.[3];
    };
    const common = { errorCode: -1, statusCode: 430 };
    assert.deepEqual(await fail(1, '{"errorMessage":"m","errorType":"E","stackTrace":["a"]}'), {
      ...common,
      requestId: 'id-1',
      errorMessage: 'm',
      errorType: 'E',
      stackTrace: 'a',
    });
    const header = 'Lambda-Runtime-Function-Error-Type';
    assert.deepEqual(await fail(2, 'words', { [header]: 'Runtime.Bad' }), {
      ...common,
      requestId: 'id-2',
      errorMessage: 'words',
      errorType: 'Runtime.Bad',
    });
    assert.deepEqual(await fail(3, 'words', { [header]: 'x' }), {
      ...common,
      requestId: 'id-3',
      errorMessage: 'words',
      errorType: 'Function.Unknown',
    });
  });

  it('answers 413 to what is too large, and the event is 407', async () => {
    invoke(1);
    await (await get(`${LAMBDA}/invocation/next`)).text();
    const answer = await post(`${LAMBDA}/invocation/id-1/response`, Buffer.alloc(MAX_RESULT_BYTES + 101, 0x31));
    assert.deepEqual(await typeOf(answer), [413, 'RequestEntityTooLarge']);
    assert.deepEqual(reported.at(-1)?.slice(0, 3), ['failed', 1, 407]);
  });

  it('accepts an error that came up while the answer was streamed', async () => {
    invoke(1);
    await (await get(`${LAMBDA}/invocation/next`)).text();
    const socket = connect(port, '127.0.0.1');
    const body = Buffer.from('{"errorMessage":"late","errorType":"T"}').toString('base64');
    socket.end(
      `POST ${LAMBDA}/invocation/id-1/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n` +
        'Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n' +
        `4\r\n"abc\r\n0\r\nLambda-Runtime-Function-Error-Type: Function.Late\r\nLambda-Runtime-Function-Error-Body: ${body}\r\n\r\n`,
    );
    socket.resume();
    await closed(socket);
    assert.deepEqual(reported.at(-1)?.slice(0, 3), ['failed', 1, 430]);
    assert.equal((reported.at(-1)?.[3] as { errorMessage: string }).errorMessage, 'late');
  });

  it('fails the start with what the runtime reports, once', async () => {
    const answer = await post(`${LAMBDA}/init/error`, '{"errorMessage":"no module","errorType":"Runtime.Import"}');
    assert.equal(answer.status, 202);
    assert.deepEqual(await typeOf(await post(`${LAMBDA}/init/error`, '{}')), [403, 'InvalidStateTransition']);
    assert.deepEqual(await typeOf(await get(`${LAMBDA}/invocation/next`)), [403, 'InvalidStateTransition']);
    const error = { errorCode: -1, errorMessage: 'no module', errorType: 'Runtime.Import', requestId: '', statusCode: 443 };
    assert.deepEqual(reported, [['load failed', 443, error]]);
  });

  it('lets extensions register and waits with them for ever', async () => {
    const registered = await post('/2020-01-01/extension/register', '{"events":[]}', { 'Lambda-Extension-Name': 'x' });
    assert.equal(registered.status, 200);
    assert.match(registered.headers.get('lambda-extension-identifier') ?? '', /^[0-9a-f-]{36}$/);
    const waiting = get('/2020-01-01/extension/event/next').then(
      () => 'answered',
      () => 'cut off',
    );
    assert.equal((await fetch(`${url}/2022-07-01/telemetry`, { method: 'PUT', body: '{}' })).status, 202);
    talk.close();
    assert.equal(await waiting, 'cut off');
  });

  it('gives FC’s client hooks and events, holds its next request meanwhile, and answers 200', async () => {
    const first = get(`${FC}/invocation/next`);
    await loaded();
    talk.hook({ seq: 1, kind: 'INITIALIZER', handler: 'x', requestId: 'hook', deadlineTimeMs: DEADLINE });
    const hook = await first;
    assert.deepEqual(
      ['request-id', 'function-type', 'function-deadline', 'function-timeout'].map((name) => hook.headers.get(`x-fc-${name}`)),
      ['hook', '1', String(DEADLINE), '3'],
    );
    const second = get(`${FC}/invocation/next`); // it asks again while it works
    assert.equal((await post(`${FC}/invocation/hook/response`)).status, 200);
    assert.deepEqual(reported.at(-1), ['hook ended', 1, true, '']);
    invoke(2);
    assert.equal((await second).headers.get('x-fc-function-type'), '0');
    assert.equal((await post(`${FC}/invocation/id-2/error`, '{"errorMessage":"m","errorType":"T"}')).status, 200);
    assert.deepEqual(reported.at(-1)?.slice(0, 3), ['failed', 2, 430]);
  });

  it('gives SCF’s clients the same event again until it is answered', async () => {
    assert.equal((await post('/runtime/init/ready')).status, 200);
    assert.deepEqual(reported, [['loaded']]);
    assert.equal((await post('/runtime/invocation/response', '1')).status, 403);
    invoke(1);
    for (let i = 0; i < 2; i++) {
      const event = await get('/runtime/invocation/next');
      const names = ['request_id', 'memory_limit_in_mb', 'time_limit_in_ms'];
      assert.deepEqual([...names.map((name) => event.headers.get(name)), await event.text()], ['id-1', '128', '3000', '{"n":1}']);
    }
    assert.equal((await post('/runtime/invocation/error', 'words')).status, 200);
    assert.equal((reported.at(-1)?.[3] as { errorMessage: string }).errorMessage, 'words');
  });

  for (const [method, path, status] of [
    ['GET', '/', 404],
    ['GET', '/2018-06-01/runtime/invocation/a/b/response', 404],
    ['GET', '/runtime/__proto__', 404],
    ['POST', '/2018-06-01/runtime/invocation/next', 405],
    ['GET', '/runtime/init/ready', 405],
  ] as const) {
    it(`answers ${status} to ${method} ${path}`, async () => {
      assert.equal((await fetch(`${url}${path}`, { method })).status, status);
    });
  }

  it('is not impressed by what is no HTTP, by endless headers and by those who stop in the middle', async () => {
    for (const bytes of [
      '\0\0\0\0\r\n\r\n',
      `GET / HTTP/1.1\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`,
      'POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n',
    ]) {
      const socket = connect(port, '127.0.0.1');
      socket.write(bytes);
      socket.resume();
      await closed(socket);
    }
    invoke(1);
    await (await get(`${LAMBDA}/invocation/next`)).text();
    const half = connect(port, '127.0.0.1');
    await once(half, 'connect');
    half.end(`POST ${LAMBDA}/invocation/id-1/response HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"half"`);
    half.resume();
    await closed(half);
    assert.equal((await post(`${LAMBDA}/invocation/id-1/response`, '"whole"')).status, 202);
    assert.deepEqual(reported.at(-1), ['answered', 1, '"whole"']);
  });

  it('goes with its instance', async () => {
    const held = get(`${LAMBDA}/invocation/next`);
    await loaded();
    talk.close();
    await assert.rejects(held);
    await assert.rejects(get('/2018-06-01/ping'));
  });
});
