import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { call, openApis, WITH_KEY } from '../../testing/harness.ts';

const K = '/v1/namespaces/default/functions/killer';
const ID = '01990000-0000-7000-8000-000000000004';

type Sent = { readonly method?: string; readonly path?: string; readonly headers?: readonly string[]; readonly body?: string };

function request({ method = 'POST', path = `${K}/events`, headers = [], body = '1' }: Sent, isLast = true): string {
  const hasType = headers.some((line) => /^content-type:/i.test(line));
  const head = [
    `${method} ${path} HTTP/1.1`,
    'Host: localhost',
    ...(headers.some((line) => /^authorization:/i.test(line)) ? [] : [`Authorization: ${WITH_KEY.authorization}`]),
    ...(hasType ? [] : ['Content-Type: application/json']),
    ...headers,
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(isLast ? ['Connection: close'] : []),
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}

describe('requests as they are on the wire', () => {
  const apis = openApis();

  /** Sends bytes, and answers all that comes back until the connection ends. */
  const raw = async (bytes: string): Promise<string> => {
    const socket = connect(apis.gateway.httpPort, '127.0.0.1');
    let said = '';
    socket.on('data', (chunk: Buffer) => (said += chunk.toString('latin1')));
    socket.write(bytes);
    await once(socket, 'close');
    return said;
  };
  const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);

  for (const [name, first, second] of [
    ['Host', 'y', 'z'],
    ['Authorization', 'Bearer a:b', 'Bearer c:d'],
    ['Content-Type', 'application/json', 'text/plain'],
    ['content-type', 'application/json', 'application/json'],
    ['Content-Encoding', 'identity', 'gzip'],
    ['Idempotency-Key', 'a', 'b'],
    ['idempotency-key', 'a', 'a'],
    ['Evenfall-Qualifier', '1', '2'],
    ['Evenfall-Delay', '1s', '1s'],
    ['Evenfall-Cancel', 'on-disconnect', 'on-disconnect'],
    ['Last-Event-ID', '1', '2'],
  ] as const)
    it(`with ${name} twice are refused: two readers could take one of them for another request`, async () => {
      const answer = await raw(request({ headers: [`${name}: ${first}`, `${name.toUpperCase()}: ${second}`] }));
      assert.equal(statusOf(answer), 400);
      assert.match(answer, new RegExp(`"field":"${name}","rule":"a header that comes once"`, 'i'));
      assert.equal(apis.world.accepted.length, 0);
    });

  for (const [type, status] of [
    ['application/json', 202],
    ['application/json; charset=utf-8', 202],
    ['application/json;charset="UTF-8"', 202],
    ['application/json; charset=us-ascii', 202],
    ['application/json; profile=x', 202],
    ['application/json; charset=utf-16', 415],
    ['application/json; charset="UTF-16LE"', 415],
    ['application/json; charset=latin1', 415],
    ['application/json; CHARSET = iso-8859-1', 415],
    ['application/json; charset=utf-8; charset=utf-16', 415],
    ['application/json; charset=', 415],
  ] as const) {
    it(`are ${status} as ${type}, wherever there is a body`, async () => {
      const answer = await raw(request({ headers: [`Content-Type: ${type}`] }));
      assert.equal(statusOf(answer), status);
      if (status === 415) assert.match(answer, /UNSUPPORTED_MEDIA_TYPE/);
      const purge = await raw(request({ path: '/v1/purge', body: '{"dry_run":true}', headers: [`Content-Type: ${type}`] }));
      assert.equal(statusOf(purge), status === 202 ? 200 : 415);
    });
  }

  it('are answered in order, one after the other, where several come at once', async () => {
    const many = [
      request({ body: '1' }, false),
      request({ headers: ['Content-Type: text/plain'], body: 'what is not read' }, false),
      request({ method: 'PUT', body: '3' }, false),
      request({ path: '/nowhere', body: '4' }, false),
      request({ body: '{"n": 5}' }),
    ];
    const answers = (await raw(many.join(''))).split(/(?=HTTP\/1\.1 )/).map(statusOf);
    assert.deepEqual(answers, [202, 415, 405, 404, 202]);
    assert.deepEqual(
      apis.world.accepted.map(({ accepted }) => accepted?.payload.toString()),
      ['1', '{"n": 5}'],
    );
  });

  it('wait for 100 Continue where they ask for it', async () => {
    const socket = connect(apis.gateway.httpPort, '127.0.0.1');
    let said = '';
    socket.write(request({ headers: ['Expect: 100-continue'] }).slice(0, -1));
    for await (const chunk of socket) {
      said += String(chunk);
      if (said === 'HTTP/1.1 100 Continue\r\n\r\n') socket.write('7');
    }
    assert.match(said, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 202 /);
    assert.equal(statusOf(await raw(request({ headers: ['Expect: 200-maybe'], body: '' }))), 417);
  });

  it('with two lengths, or a length and chunks, are no HTTP', async () => {
    for (const headers of [['Content-Length: 1'], ['Content-Length: 2'], ['Transfer-Encoding: chunked']])
      assert.equal(statusOf(await raw(request({ headers }))), 400);
    assert.equal(apis.world.accepted.length, 0);
  });

  for (const [method, path, body] of [
    ['GET', `/v1/events/${ID}`, undefined],
    ['GET', `/v1/events/${ID}:watch`, undefined],
    ['GET', '/v1/agents', undefined],
    ['GET', '/v1/namespaces/default/events:count', undefined],
    ['GET', `${K}/events:count`, undefined],
    ['GET', `${K}/event-invoke-config`, undefined],
    ['GET', `${K}/reserved-concurrency`, undefined],
    ['GET', `/v1/dead-letters/${ID}`, undefined],
    ['POST', `/v1/dead-letters/${ID}:redrive`, undefined],
    ['POST', `${K}/events`, {}],
    ['POST', `${K}/events:batchCreate`, { events: [{}] }],
    ['POST', `${K}:invoke`, {}],
    ['POST', `/v1/events/${ID}:terminate`, {}],
    ['POST', '/v1/purge', { dry_run: true }],
    ['POST', '/v1/agents/a1:drain', {}],
    ['POST', '/v1/namespaces/default/functions', { name: 'new', runtime: 'nodejs' }],
    ['PATCH', K, { description: 'x' }],
    ['PUT', `${K}/event-invoke-config`, {}],
    ['DELETE', K, undefined],
  ] as const)
    it(`to ${method} ${path} with an unknown query parameter are refused`, async () => {
      const { status, text } = await call(`${apis.url}${path}?force=true`, method, body);
      assert.equal(status, 400, text);
      assert.match(text, /"field":"force","rule":"there is no such field"/);
    });

  it('of probes may have any query', async () => {
    for (const path of ['/healthz', '/readyz', '/openapi.json'])
      assert.equal((await call(`${apis.url}${path}?nocache=1`, 'GET')).status, 200);
  });
});
