import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createGuard, type RequestHead } from './guard.ts';
import { HOST_NAME } from './hosts.ts';

const guard = createGuard(['gateway', 'Evenfall.Example.ORG', '*.apps.example.org']);
const OURS = '127.0.0.1:8080';

type Headers = Readonly<Record<string, string | readonly string[]>>;
const raw = (headers: Headers): string[] =>
  Object.entries(headers).flatMap(([name, values]) => [values].flat().flatMap((value) => [name, value]));
const head = (method: string, headers: Headers, more: Partial<RequestHead> = {}): RequestHead => {
  return { method, target: '/v1/agents', rawHeaders: raw({ Host: OURS, ...headers }), ...more };
};
const judge = (request: RequestHead): string => guard(request)?.reason ?? 'passes';

describe('Host', () => {
  const passing = [
    ...['127.0.0.1', '127.0.0.1:8080', '127.0.0.1:', '10.1.2.3:1', '[::1]', '[::1]:8080', '[2001:DB8::1]:443', '[::ffff:127.0.0.1]:80'],
    ...['localhost', 'localhost:65535', 'LOCALHOST:8080', 'localhost.', 'localhost.:8080'],
    ...['gateway', 'gateway:9464', 'GateWay', 'gateway.', 'evenfall.example.org', 'a.apps.example.org', 'A-1.APPS.example.org.:8080'],
  ];
  for (const host of passing) it(`${host} passes`, () => assert.equal(judge(head('GET', { Host: host })), 'passes'));

  const refused = [
    ...[
      '',
      ' ',
      'evil.example',
      'evil.example:8080',
      'x',
      'a.localhost',
      'localhost.evil.example',
      'localhost..',
      '.localhost',
      '.',
      ':8080',
    ],
    ...['127.0.0.1.evil.example', '127.0.0.1.', '127.1', '2130706433', '0x7f.0.0.1', '0177.0.0.1', '127.0.0.256', '127.0.0.1.nip.io'],
    ...['::1', '::1:8080', '[::1', '[::1]x', '[::1]:x', '[localhost]', '[127.0.0.1]', '[fe80::1%25eth0]', '[fe80::1%eth0]', '[v1.x]', '[]'],
    ...['localhost:65536', 'localhost:-1', 'localhost:80:80', 'localhost:8080,evil.example', 'localhost, evil.example', 'localhost evil'],
    ...[
      'me@localhost',
      'evil.example#localhost',
      'evil.example/localhost',
      'localhost\\evil',
      'localho%73t',
      'localhost\u0000',
      'lo\u0441alhost',
    ],
    ...[
      'apps.example.org',
      'a.b.apps.example.org',
      '.apps.example.org',
      'xapps.example.org',
      'example.org',
      'evenfall.example.org.evil.example',
    ],
  ];
  for (const host of refused)
    it(`${JSON.stringify(host)} is refused`, () => assert.equal(judge(head('GET', { Host: host })), 'HOST_NOT_ALLOWED'));

  it('is there, and once', () => {
    assert.equal(judge({ method: 'GET', target: '/', rawHeaders: [] }), 'HOST_NOT_ALLOWED');
    for (const hosts of [
      [OURS, OURS],
      [OURS, 'evil.example'],
      ['evil.example', OURS],
    ])
      assert.equal(judge(head('GET', { Host: hosts })), 'INVALID_FIELD');
    assert.equal(judge({ method: 'GET', target: '/', rawHeaders: ['Host', OURS, 'hOST', OURS] }), 'INVALID_FIELD');
  });

  it('is that of the target, where that is a URL', () => {
    const to = (target: string, host = OURS): string => judge(head('GET', { Host: host }, { target }));
    for (const target of ['/', '/v1?x=http://evil.example/', '*', `http://${OURS}/v1`, `HTTP://${OURS}`, '//evil.example/'])
      assert.equal(to(target), 'passes', target);
    assert.equal(to('http://localhost/', 'LOCALHOST:80'), 'passes');
    assert.equal(to('http://[::1]:8080/', '[0:0::1]:8080'), 'passes');
    const others = [
      'http://evil.example/',
      `http://${OURS}@evil.example/`,
      `http://evil.example@${OURS}/`,
      'http://127.0.0.1/',
      'http://localhost:8080/',
    ];
    for (const target of [...others, `ftp://${OURS}/`, OURS, '', 'http:///', `http:/${OURS}`])
      assert.equal(to(target), 'HOST_NOT_ALLOWED', target);
  });

  it('is shown in the refusal, cut and in ASCII, with the setting that would let it in', () => {
    const message = guard(head('GET', { Host: `evil\r\u00e9${'x'.repeat(500)}` }))?.message ?? '';
    assert.match(message, /"evil\?\?x{94}".*EVENFALL_ALLOWED_HOSTS/);
    assert.equal(guard(head('GET', { Host: 'evil.example' }))?.httpStatus, 421);
  });
});

describe('Origin and Sec-Fetch-Site', () => {
  const METHODS = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND'];
  const JSON_TYPE = { 'Content-Type': 'application/json', Authorization: 'Bearer a:b' };

  const own: readonly (readonly [string, Headers])[] = [
    ['http://127.0.0.1:8080', {}],
    ['http://localhost', { Host: 'localhost' }],
    ['http://localhost', { Host: 'LOCALHOST:80' }],
    ['http://[::1]:8080', { Host: '[0:0:0:0:0:0:0:1]:8080' }],
    ['https://evenfall.example.org', { Host: 'evenfall.example.org', 'X-Forwarded-Proto': 'https' }],
    ['https://evenfall.example.org:8443', { Host: 'evenfall.example.org:8443', 'x-forwarded-proto': 'https, http' }],
  ];
  for (const [origin, headers] of own)
    it(`${origin} is that of ${JSON.stringify(headers)}`, () => {
      for (const method of ['GET', 'POST', 'DELETE']) assert.equal(judge(head(method, { ...headers, Origin: origin })), 'passes');
    });

  const foreign: readonly (readonly [string | readonly string[], Headers])[] = [
    ['null', {}],
    ['', {}],
    ['https://evil.example', {}],
    ['http://127.0.0.1', {}],
    ['http://127.0.0.1:3000', {}],
    ['http://localhost:8080', {}],
    ['https://127.0.0.1:8080', {}],
    ['http://127.0.0.1:8080/', {}],
    ['http://127.0.0.1:8080.evil.example', {}],
    ['http://127.0.0.1:8080@evil.example', {}],
    ['HTTP://127.0.0.1:8080', {}],
    ['127.0.0.1:8080', {}],
    ['chrome-extension://abcdef', {}],
    ['file://', {}],
    [['http://127.0.0.1:8080', 'https://evil.example'], {}],
    ['http://127.0.0.1:8080, https://evil.example', {}],
    ['http://localhost', { Host: 'localhost.' }],
    ['https://localhost', { Host: 'localhost:80' }],
    ['http://evenfall.example.org', { Host: 'evenfall.example.org', 'X-Forwarded-Proto': 'https' }],
    ['https://evenfall.example.org', { Host: 'evenfall.example.org' }],
    ['https://evenfall.example.org', { Host: 'evenfall.example.org', 'X-Forwarded-Proto': 'http' }],
    ['http://a.apps.example.org', { Host: 'b.apps.example.org' }],
  ];
  for (const [origin, headers] of foreign)
    it(`${JSON.stringify(origin)} is foreign to ${JSON.stringify(headers)}, whatever the method and the key`, () => {
      for (const method of METHODS)
        for (const isPage of [false, true])
          assert.equal(judge(head(method, { ...JSON_TYPE, ...headers, Origin: origin }, { isPage })), 'FOREIGN_ORIGIN', method);
    });

  for (const [site, expected] of [
    ['same-origin', 'passes'],
    ['none', 'passes'],
    ['same-site', 'FOREIGN_ORIGIN'],
    ['cross-site', 'FOREIGN_ORIGIN'],
    ['', 'FOREIGN_ORIGIN'],
    ['Same-Origin', 'FOREIGN_ORIGIN'],
    ['same-origin, cross-site', 'FOREIGN_ORIGIN'],
    ['anything-new', 'FOREIGN_ORIGIN'],
  ] as const)
    it(`a site of "${site}" ${expected}, whatever the method`, () => {
      for (const method of METHODS) assert.equal(judge(head(method, { ...JSON_TYPE, 'Sec-Fetch-Site': site })), expected, method);
    });

  it('a link of another site leads to pages, and to nothing else', () => {
    const link = { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' };
    const follow = (method: string, change: Headers, isPage = true): string => judge(head(method, { ...link, ...change }, { isPage }));
    assert.equal(follow('GET', {}), 'passes');
    assert.equal(follow('HEAD', { 'Sec-Fetch-Site': 'same-site' }), 'passes');
    assert.equal(follow('GET', {}, false), 'FOREIGN_ORIGIN', 'data');
    for (const method of ['POST', 'OPTIONS', 'PUT', 'DELETE']) assert.equal(follow(method, {}), 'FOREIGN_ORIGIN', method);
    for (const dest of ['iframe', 'frame', 'object', 'embed', 'image', 'script', 'empty', ''])
      assert.equal(follow('GET', { 'Sec-Fetch-Dest': dest }), 'FOREIGN_ORIGIN', dest);
    for (const mode of ['no-cors', 'cors', 'same-origin', 'websocket', ''])
      assert.equal(follow('GET', { 'Sec-Fetch-Mode': mode }), 'FOREIGN_ORIGIN', mode);
    assert.equal(follow('GET', { Origin: 'https://evil.example' }), 'FOREIGN_ORIGIN');
    assert.equal(follow('GET', { Host: 'evil.example' }), 'HOST_NOT_ALLOWED');
  });
});

describe('a POST', () => {
  const marks: readonly Headers[] = [
    { 'Content-Type': 'application/json' },
    { 'content-type': 'Application/JSON ; charset=utf-8' },
    { 'Content-Type': 'application/zip' },
    { Authorization: 'Bearer a:b' },
    { Authorization: 'TC3-HMAC-SHA256 Credential=a/b' },
    { 'Evenfall-Client': 'curl' },
    { 'EVENFALL-DELAY': '' },
    { Origin: `http://${OURS}` },
  ];
  for (const mark of marks)
    it(`passes with ${JSON.stringify(mark)}`, () => {
      assert.equal(judge(head('POST', mark)), 'passes');
    });

  const unmarked: readonly Headers[] = [
    {},
    { 'Content-Length': '0' },
    { 'Content-Type': 'application/x-www-form-urlencoded' },
    { 'Content-Type': 'multipart/form-data; boundary=application/json' },
    { 'Content-Type': 'text/plain; application/json' },
    { 'Content-Type': 'text/plain, application/json' },
    { 'Content-Type': 'text/ping' },
    { 'Content-Type': 'application/csp-report' },
    { 'Content-Type': 'application/reports+json' },
    { 'Content-Type': 'application/jsonx' },
    { 'Content-Type': '' },
    { Authorization: 'Basic YTpi' },
    { Authorization: 'Negotiate abc' },
    { Authorization: 'Bearer' },
    { Authorization: '' },
    { 'Sec-Fetch-Site': 'none' },
    { 'Sec-Fetch-Site': 'same-origin' },
    { 'X-Evenfall-Client': 'x' },
    { Accept: 'application/json', 'Accept-Language': 'en', 'Content-Language': 'en', DPR: '1', 'Save-Data': 'on', Range: 'bytes=0-' },
    { Cookie: 'a=b', Referer: `http://${OURS}/`, 'User-Agent': 'curl/8', 'Ping-From': 'x', 'Ping-To': 'y' },
  ];
  for (const headers of unmarked)
    it(`is refused with ${JSON.stringify(headers)}`, () => {
      assert.equal(judge(head('POST', headers)), 'FORM_REQUEST');
      assert.equal(judge(head('POST', headers, { provesItself: true })), 'passes', 'where the route asks for more itself');
      for (const method of ['GET', 'HEAD', 'OPTIONS']) assert.equal(judge(head(method, headers)), 'passes', method);
    });

  it('is the only method of forms that writes: what has another one cannot come of them', () => {
    for (const method of ['PUT', 'PATCH', 'DELETE', 'QUERY', 'PROPFIND']) assert.equal(judge(head(method, {})), 'passes', method);
  });
});

describe('whatever a page of another origin can make a browser send', () => {
  // Names that are safelisted, or added by browsers themselves (Fetch, "CORS-safelisted request-header", "forbidden request-header").
  const simple = fc.record(
    {
      'Content-Type': fc.constantFrom(
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'text/plain;charset=UTF-8',
        'text/ping',
        'application/csp-report',
      ),
      Accept: fc.string(),
      'Accept-Language': fc.constant('en'),
      'Content-Language': fc.constant('evenfall-client'),
      Range: fc.constant('bytes=0-1'),
      Cookie: fc.string(),
      Referer: fc.webUrl(),
      Authorization: fc.constantFrom('Basic YTpi', 'Negotiate x'),
      'User-Agent': fc.string(),
      Connection: fc.constant('keep-alive'),
    },
    { requiredKeys: [] },
  );
  const site = fc.constantFrom('cross-site', 'same-site');
  const mode = fc.constantFrom('no-cors', 'cors', 'navigate', 'websocket');
  const dest = fc.constantFrom('empty', 'document', 'iframe', 'image', 'script', 'object');
  const spelled = (name: string) => fc.constantFrom(name, name.toLowerCase(), name.toUpperCase());
  const foreignOrigin = fc.oneof(
    fc.webUrl().map((url) => new URL(url).origin),
    fc.constantFrom('null', 'http://127.0.0.1:3000', 'https://localhost:8080'),
  );
  const target = fc.constantFrom('/', '/v1/agents', '/v1/purge', '/docs', `http://${OURS}/`);
  const ours = fc.constantFrom(OURS, 'localhost:8080', '[::1]:8080', 'gateway', 'b.apps.example.org');

  const build = fc.record({
    host: ours,
    method: fc.constantFrom('GET', 'HEAD', 'POST'),
    target,
    headers: simple,
    isPage: fc.boolean(),
    isOld: fc.boolean(),
    site,
    mode,
    dest,
    origin: foreignOrigin,
    originName: spelled('Origin'),
    siteName: spelled('Sec-Fetch-Site'),
    order: fc.boolean(),
  });

  it('writes nothing, and reads nothing but pages: with a key, by any host, in any order of headers', () => {
    fc.assert(
      fc.property(
        build,
        fc.boolean(),
        ({ host, method, target, headers, isPage, isOld, site, mode, dest, origin, originName, siteName, order }, hasKey) => {
          // A browser adds an origin to all but reads without CORS; one that is old, or far from loopback without TLS, adds no Sec-Fetch-*.
          const hasOrigin = method === 'POST' || mode === 'cors' || mode === 'websocket';
          const lines = raw({
            Host: host,
            ...headers,
            ...(hasKey ? { Authorization: 'Bearer a:b', 'Content-Type': 'application/json' } : {}),
            ...(hasOrigin ? { [originName]: origin } : {}),
            ...(isOld ? {} : { [siteName]: site, 'Sec-Fetch-Mode': mode, 'Sec-Fetch-Dest': dest }),
          });
          const pairs = lines.flatMap((_, i) => (i % 2 === 0 ? [[lines[i] ?? '', lines[i + 1] ?? '']] : []));
          const rawHeaders = (order ? pairs.reverse() : pairs).flat();
          const refusal = guard({ method, target, rawHeaders, isPage });
          const isLink = isPage && !hasOrigin && mode === 'navigate' && dest === 'document';
          const isUnrecognizable = isOld && !hasOrigin; // a read whose answer the page cannot see
          if (method === 'POST' || !(isLink || isUnrecognizable)) assert.ok(refusal, JSON.stringify(rawHeaders));
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it('does nothing where its own name leads here (DNS rebinding)', () => {
    const name = fc.domain().filter((domain) => !domain.endsWith('example.org'));
    fc.assert(
      fc.property(name, fc.constantFrom('', ':80', ':8080'), fc.constantFrom('GET', 'POST', 'PUT', 'DELETE'), (domain, port, method) => {
        const headers = { Host: `${domain}${port}`, Origin: `http://${domain}${port}`, 'Sec-Fetch-Site': 'same-origin' };
        const request = head(method, {
          ...headers,
          Authorization: 'Bearer a:b',
          'Content-Type': 'application/json',
          'Evenfall-Client': 'x',
        });
        assert.equal(judge(request), 'HOST_NOT_ALLOWED');
        assert.equal(judge({ ...request, isPage: true, provesItself: true }), 'HOST_NOT_ALLOWED');
      }),
    );
  });

  it('never throws, whatever is sent', () => {
    const line = fc.oneof(fc.constantFrom('Host', 'Origin', 'Sec-Fetch-Site', 'Content-Type', 'Authorization'), fc.string());
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.array(fc.oneof(line, fc.string({ unit: 'binary' }))), (method, target, rawHeaders) => {
        guard({ method, target, rawHeaders });
      }),
    );
    const hosts = fc.string({ unit: fc.constantFrom('[', ']', ':', '.', '-', '0', 'f', '1', '%', 'a', 'Z') });
    fc.assert(
      fc.property(hosts, hosts, (host, origin) => void judge(head('GET', { Host: host, Origin: `http://${origin}` }))),
      { numRuns: 2_000 },
    );
  });
});

describe('names that may be listed', () => {
  for (const name of ['gateway', 'a_b', 'Evenfall.Example.org', '*.example.org', 'xn--bcher-kva.example', '*.localhost'])
    it(`${name} is one`, () => assert.match(name, HOST_NAME));
  for (const name of [
    '*',
    '*.',
    '.',
    'a..b',
    'a.',
    '-a',
    'a-',
    'a:80',
    'http://a',
    'a/b',
    'b\u00fccher',
    'a.*',
    '*a.b',
    '[::1]',
    'a b',
    '',
  ])
    it(`${JSON.stringify(name)} is none`, () => assert.doesNotMatch(name, HOST_NAME));
});
