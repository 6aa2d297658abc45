// What a page of another origin can make a browser send is refused before every route of every API.
import assert from 'node:assert/strict';
import { connect as connectHttp2, constants, type IncomingHttpHeaders } from 'node:http2';
import { connect } from 'node:net';
import { once } from 'node:events';
import { before, describe, it } from 'node:test';
import { HealthService } from '@evenfall/contracts/grpc/health/v1/health';
import { Event } from '@evenfall/contracts/v1/event';
import { grpcClient } from '@evenfall/rpc';
import { call, openApis } from '../testing/harness.ts';

const ID = '01990000-0000-7000-8000-00000000000d';
const KEY = 'ann:a-secret-of-ann';
const HEADERS = {
  'x-content-type-options': /^nosniff$/,
  'cross-origin-resource-policy': /^same-origin$/,
  'content-security-policy': /frame-ancestors 'none'/,
  'referrer-policy': /^same-origin$/,
};

type Route = { readonly method: string; readonly path: string };

for (const isOpen of [true, false])
  describe(`APIs ${isOpen ? 'that are open' : 'with a key'}`, () => {
    const apis = openApis({
      accessKeys: isOpen ? [] : [{ id: 'ann', secret: 'a-secret-of-ann' }],
      isOpen,
      allowedHosts: ['gateway', '*.example.org'],
    });
    const routes: Route[] = [
      ...['/', '/docs', '/docs/', '/docs/static/index.html', '/docs/static/swagger-ui.css', '/openapi.json', '/healthz', '/readyz'],
      ...['/nowhere', '/%zz', `/v1/namespaces/${'x'.repeat(400)}/functions`],
    ].flatMap((path) => ['GET', 'HEAD', 'POST', 'OPTIONS', 'DELETE'].map((method) => ({ method, path })));
    before(async () => {
      apis.world.events.set(ID, Event.create({ id: ID, namespace: 'default', function: 'killer', state: 2 }));
      const { json } = await call(`${apis.url}/openapi.json`, 'GET', undefined, { authorization: `Bearer ${KEY}` });
      const { paths } = json as { readonly paths: Readonly<Record<string, object>> };
      for (const [path, methods] of Object.entries(paths))
        for (const method of [...Object.keys(methods), 'options'])
          routes.push({ method: method.toUpperCase(), path: path.replace('{event_id}', ID).replaceAll(/\{\w+\}/g, 'killer') });
      assert.ok(routes.length > 80, 'every route of the document');
    });

    /** The answer to a request with a head of these lines. */
    const raw = async (
      { method, path }: Route,
      lines: readonly string[],
      body = '',
    ): Promise<{ status: number; head: string; text: string }> => {
      const socket = connect(apis.gateway.httpPort, '127.0.0.1');
      let said = '';
      socket.on('data', (chunk: Buffer) => (said += chunk.toString('latin1')));
      socket.setTimeout(5_000, () => socket.destroy());
      socket.on('error', () => undefined); // whatever came before counts
      const length = body === '' ? [] : [`Content-Length: ${body.length}`];
      socket.write(`${[`${method} ${path} HTTP/1.1`, ...lines, ...length, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`);
      await once(socket, 'close');
      const [head = '', text = ''] = said.split('\r\n\r\n', 2);
      return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]), head: head.toLowerCase(), text };
    };
    const own = (): string => `127.0.0.1:${apis.gateway.httpPort}`;
    const AUTHORIZED = [`Authorization: Bearer ${KEY}`, 'Content-Type: application/json'];
    const untouched = (): void => {
      assert.equal(apis.world.accepted.length + apis.world.terminations.length, 0, 'nothing was done');
    };

    const attacks: readonly (readonly [string, number, RegExp, () => readonly string[]])[] = [
      ['a foreign Host', 421, /HOST_NOT_ALLOWED|EVENFALL_ALLOWED_HOSTS/, () => [`Host: evil.example:${apis.gateway.httpPort}`]],
      [
        'a rebound name with its own origin',
        421,
        /HOST_NOT_ALLOWED|EVENFALL_ALLOWED_HOSTS/,
        () => ['Host: evil.example:8080', 'Origin: http://evil.example:8080', 'Sec-Fetch-Site: same-origin'],
      ],
      ['two Hosts', 400, /comes once/, () => [`Host: ${own()}`, `Host: ${own()}`]],
      ['a foreign Origin', 403, /FOREIGN_ORIGIN|another origin/, () => [`Host: ${own()}`, 'Origin: https://evil.example']],
      ['the Origin of a sandbox', 403, /FOREIGN_ORIGIN|another origin/, () => [`Host: ${own()}`, 'Origin: null']],
      ['the Origin of another port', 403, /FOREIGN_ORIGIN|another origin/, () => [`Host: ${own()}`, 'Origin: http://127.0.0.1:1']],
      [
        'another site',
        403,
        /FOREIGN_ORIGIN|another origin/,
        () => [`Host: ${own()}`, 'Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: no-cors'],
      ],
      ['another port of the site', 403, /FOREIGN_ORIGIN|another origin/, () => [`Host: ${own()}`, 'Sec-Fetch-Site: same-site']],
    ];
    for (const [name, status, reason, lines] of attacks)
      it(`turn away ${name} at every route, key or not`, async () => {
        for (const route of routes)
          for (const more of [[], AUTHORIZED]) {
            const answer = await raw(route, [...lines(), ...more]);
            assert.equal(answer.status, status, `${route.method} ${route.path}`);
            if (route.method !== 'HEAD') assert.match(answer.text, reason, `${route.method} ${route.path}`);
            assert.doesNotMatch(answer.head, /access-control-/);
            for (const [header, value] of Object.entries(HEADERS))
              assert.match(new RegExp(`^${header}: (.*)$`, 'm').exec(answer.head)?.[1] ?? '', value, `${header} ${route.path}`);
          }
        untouched();
      });

    it('turn away a target that names another host than Host does', async () => {
      for (const { method, path } of routes) {
        const answer = await raw({ method, path: `http://evil.example${path}` }, [`Host: ${own()}`, ...AUTHORIZED]);
        assert.equal(answer.status, 421, `${method} ${path}`);
      }
      assert.equal((await raw({ method: 'GET', path: `http://${own()}/healthz` }, [`Host: ${own()}`])).status, 200);
    });

    it('turn away a POST that a form could have sent, at every route', async () => {
      const types = [undefined, 'application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data; boundary=x', 'text/ping'];
      for (const { path } of routes.filter(({ method, path }) => method === 'POST' && path !== '/'))
        for (const type of types)
          for (const body of ['', '{}']) {
            const answer = await raw({ method: 'POST', path }, [`Host: ${own()}`, ...(type ? [`Content-Type: ${type}`] : [])], body);
            // The type that is taken is named where there is a route.
            assert.equal(
              answer.status,
              type === undefined || path.includes('%') || path.length > 400 ? 403 : 415,
              `${path} ${type ?? ''} ${answer.text}`,
            );
          }
      const form =
        'Action=Invoke&Version=2018-04-16&FunctionName=killer&InvocationType=Event&SecretId=ann&Signature=AAAA&Timestamp=1&Nonce=1';
      for (const body of [form, '']) {
        const answer = await raw(
          { method: 'POST', path: '/' },
          [`Host: ${own()}`, 'Content-Type: application/x-www-form-urlencoded'],
          body,
        );
        assert.match(answer.text, /AuthFailure|MissingParameter/);
      }
      assert.match((await raw({ method: 'POST', path: '/' }, [`Host: ${own()}`])).text, /AuthFailure|InvalidRequest/);
      untouched();
    });

    it('let in their own pages and every name that is listed', async () => {
      const hosts = [own(), 'localhost:1', '[::1]:8080', 'gateway', 'GATEWAY.:9', 'a.example.org:443'];
      for (const host of hosts) {
        const origin = `Origin: http://${host.toLowerCase()}`;
        const answer = await raw({ method: 'GET', path: '/v1/agents' }, [
          `Host: ${host}`,
          origin,
          'Sec-Fetch-Site: same-origin',
          ...AUTHORIZED,
        ]);
        assert.equal(answer.status, 200, host);
        assert.doesNotMatch(answer.head, /access-control-/);
      }
    });

    it('open pages, and no data, to a link of another site', async () => {
      const link = ['Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: document', `Authorization: Bearer ${KEY}`];
      for (const [path, status] of [
        ['/docs', 200],
        ['/docs/', 200],
        ['/openapi.json', 403],
        ['/v1/agents', 403],
        ['/docsx', 403],
        ['/', 403],
        ['/healthz', 403],
      ] as const)
        assert.equal((await raw({ method: 'GET', path }, [`Host: ${own()}`, ...link])).status, status, path);
      const page = await raw({ method: 'GET', path: '/docs' }, [`Host: ${own()}`, ...link]);
      assert.match(page.head, /^cross-origin-opener-policy: same-origin$/m);
      assert.match(page.head, /^content-security-policy: .*script-src 'self'.*$/m);
      assert.match(page.head, /^content-security-policy: .*frame-ancestors 'none'.*$/m);
    });

    it('say on every answer what browsers may do with it, on streams too', async () => {
      apis.world.events.set(ID, Event.create({ id: ID, namespace: 'default', function: 'killer', state: 4 }));
      for (const path of ['/healthz', '/v1/agents', `/v1/events/${ID}`, `/v1/events/${ID}:watch`, '/nowhere', '/openapi.json', '/docs']) {
        const { head } = await raw({ method: 'GET', path }, [`Host: ${own()}`, ...AUTHORIZED]);
        for (const [header, value] of Object.entries(HEADERS))
          assert.match(new RegExp(`^${header}: (.*)$`, 'm').exec(head)?.[1] ?? '', value, `${header} ${path}`);
      }
    });

    it('turn a foreign authority or origin away over gRPC: reflection and health too', async () => {
      const session = connectHttp2(`http://127.0.0.1:${apis.gateway.grpcPort}`);
      const status = async (path: string, headers: Readonly<Record<string, string>>): Promise<string> => {
        const stream = session.request({
          ':method': 'POST',
          ':path': path,
          'content-type': 'application/grpc',
          te: 'trailers',
          authorization: `Bearer ${KEY}`,
          ...headers,
        });
        stream.end(Buffer.alloc(5));
        let found = '';
        stream.on('response', (answer) => (found = String(answer['grpc-status'] ?? answer[constants.HTTP2_HEADER_STATUS])));
        stream.on('trailers', (trailers: IncomingHttpHeaders) => (found = String(trailers['grpc-status'])));
        stream.on('error', () => (found = 'protocol error'));
        stream.resume();
        await new Promise<void>((resolve) => stream.once('close', () => resolve()));
        return found;
      };
      const PATHS = [
        '/grpc.health.v1.Health/Check',
        '/evenfall.v1.OperatorService/ListAgents',
        '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
      ];
      const good = [
        {},
        { ':authority': 'gateway:9090' },
        { ':authority': 'localhost' },
        { ':authority': '[::1]:9090', origin: 'http://[::1]:9090' },
      ];
      const bad = [
        { ':authority': 'evil.example:9090' },
        { ':authority': 'evil.example', origin: 'http://evil.example' },
        { ':authority': '127.0.0.1@evil.example' },
        { origin: 'https://evil.example' },
        { origin: 'null' },
        { 'sec-fetch-site': 'cross-site' },
        { host: 'evil.example' },
      ];
      try {
        for (const path of PATHS) {
          for (const headers of good) assert.equal(await status(path, headers), '0', `${path} ${JSON.stringify(headers)}`);
          for (const headers of bad)
            assert.match(await status(path, headers), /^([37]|protocol error)$/, `${path} ${JSON.stringify(headers)}`);
        }
        // What a page could send, could browsers speak this: no type of gRPC's.
        for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'application/json'])
          assert.equal(await status(PATHS[1] ?? '', { 'content-type': type }), '415');
      } finally {
        session.close();
      }
      const health = grpcClient(HealthService, `localhost:${apis.gateway.grpcPort}`);
      assert.equal((await health.client.check({ service: '' })).status, 1);
      health.close();
    });
  });
