import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { EventServiceService, ListEventsRequest } from '@evenfall/contracts/v1/event_service';
import { isRefusal } from '@evenfall/errors';
import type { Sql } from '@evenfall/postgres';
import { grpcClient } from '@evenfall/rpc';
import { eventually } from '@evenfall/testkit';
import { makeZip } from '../../services/registry/src/testing/zip-maker.ts';
import { rawHttp } from '../support/raw-http.ts';
import type { ErrorAnswer } from '../support/rest-client.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { stackSql } from '../support/stack-sql.ts';

const F = '/v1/namespaces/default/functions';
const UNKNOWN = '01990000-0000-7000-8000-00000000dead';
const LONG = 'x'.repeat(200_000);
const DEEP = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
const SOUND = { name: 'fresh', runtime: 'nodejs', handler: 'index.handler' };
const CODE = { name: 'index.js', data: 'exports.handler = async (event) => event;\n' };

const create = (change: object, ...entries: Parameters<typeof makeZip>[0]) => ({
  ...SOUND,
  code_zip: makeZip(entries.length > 0 ? entries : [CODE]).toString('base64'),
  ...change,
});

type Row = readonly [
  name: string,
  method: string,
  path: string,
  body: unknown,
  status: number,
  reason: string,
  headers?: Record<string, string>,
];
const EVENTS = `${F}/echo/events`;
const BATCH = `${F}/echo/events:batchCreate`;
const END = `/v1/events/${UNKNOWN}:terminate`;

const ROWS: readonly Row[] = [
  ['an unknown route', 'GET', '/v1/nothing', undefined, 404, 'UNKNOWN_PATH'],
  ['a bad percent-encoding', 'GET', '/v1/events/%ff%fe', undefined, 400, 'INVALID_FIELD'],
  ['a half percent-encoding in a query', 'GET', `${EVENTS}?trigger=%E0%A4%A`, undefined, 200, ''],
  ['an unknown function', 'POST', `${F}/unknown/events`, 1, 404, 'FUNCTION_NOT_FOUND'],
  ['an id as long as a book', 'GET', `/v1/events/${LONG.slice(0, 8_000)}`, undefined, 404, 'UNKNOWN_PATH'],
  ['an id longer than an id', 'GET', `/v1/events/${LONG.slice(0, 200)}`, undefined, 404, 'EVENT_NOT_FOUND'],
  ['a name longer than a name', 'GET', `${F}/${LONG.slice(0, 200)}`, undefined, 400, 'INVALID_NAME'],
  ['broken JSON', 'POST', F, '{"name": ', 400, 'INVALID_JSON'],
  ['JSON of the wrong kind', 'POST', F, '[]', 400, 'INVALID_FIELD'],
  ['a body that is no JSON object', 'POST', F, 'null', 400, 'INVALID_FIELD'],
  ['100,000 brackets as a function', 'POST', F, DEEP, 400, 'INVALID_FIELD'],
  ['100,000 brackets in a function', 'POST', F, `{"name":"deep","environment":${DEEP}}`, 400, 'INVALID_FIELD'],
  ['100,000 brackets as a batch', 'POST', BATCH, DEEP, 400, 'INVALID_FIELD'],
  [
    'a __proto__ key in a function',
    'POST',
    F,
    '{"name":"proto","runtime":"nodejs","handler":"a.b","__proto__":{"x":1}}',
    400,
    'INVALID_FIELD',
  ],
  [
    'a __proto__ key in an environment',
    'POST',
    F,
    '{"name":"proto","runtime":"nodejs","handler":"a.b","environment":{"__proto__":"x"}}',
    400,
    'INVALID_FIELD',
  ],
  ['a constructor key in a batch', 'POST', BATCH, '{"events":[{"constructor":1}]}', 400, 'INVALID_FIELD'],
  ['a __proto__ key in a batch', 'POST', BATCH, '{"events":[{"__proto__":{"payload":1}}]}', 400, 'INVALID_FIELD'],
  ['a payload that is too large', 'POST', EVENTS, JSON.stringify(LONG), 413, 'PAYLOAD_TOO_LARGE'],
  ['a body that is too large', 'POST', END, JSON.stringify({ reason: LONG.repeat(2) }), 413, 'REQUEST_TOO_LARGE'],
  ['a payload of another type', 'POST', EVENTS, '<a/>', 415, 'UNSUPPORTED_MEDIA_TYPE', { 'content-type': 'text/xml' }],
  ['code of another type', 'PUT', `${F}/echo/code`, '{}', 415, 'UNSUPPORTED_MEDIA_TYPE'],
  ['an idempotency key that is too long', 'POST', EVENTS, 1, 400, 'INVALID_FIELD', { 'idempotency-key': 'k'.repeat(129) }],
  ['a control character in a key', 'POST', BATCH, '{"events":[{"idempotency_key":"a\\u0000"}]}', 400, 'INVALID_FIELD'],
  ['half a character in a key', 'POST', BATCH, '{"events":[{"idempotency_key":"\\ud800"}]}', 400, 'INVALID_FIELD'],
  ['a bad delay', 'POST', EVENTS, 1, 400, 'INVALID_FIELD', { 'evenfall-delay': '-1s' }],
  ['a bad duration', 'POST', F, create({ timeout: '1 minute' }), 400, 'INVALID_FIELD'],
  ['a duration past all bounds', 'POST', F, create({ timeout: '999999999999h' }), 400, 'INVALID_FIELD'],
  ['a type that is wrong', 'POST', F, create({ memory_mb: '128' }), 400, 'INVALID_FIELD'],
  ['a number past all bounds', 'POST', F, create({ memory_mb: 1e308 }), 400, 'INVALID_FIELD'],
  ['an unknown field', 'POST', F, create({ colour: 'red' }), 400, 'INVALID_FIELD'],
  ['a name that cannot be', 'POST', F, create({ name: '../../etc' }), 400, 'INVALID_NAME'],
  ['NUL in a name', 'POST', F, create({ name: 'a\0b' }), 400, 'INVALID_NAME'],
  ['NUL in an environment', 'POST', F, create({ environment: { A: 'b\0' } }), 400, 'INVALID_FIELD'],
  ['NUL in a handler', 'POST', F, create({ handler: 'index\0.handler' }), 400, 'INVALID_FIELD'],
  ['NUL in a filter', 'GET', `${F}?filter=a%00b`, undefined, 400, 'INVALID_FIELD'],
  ['NUL in a qualifier', 'GET', `${EVENTS}?qualifier=a%00b`, undefined, 400, 'INVALID_NAME'],
  ['NUL in a trigger', 'GET', `${EVENTS}?trigger=a%00b`, undefined, 400, 'INVALID_FIELD'],
  ['a bad page token', 'GET', `${EVENTS}?page_token=nonsense`, undefined, 400, 'INVALID_PAGE_TOKEN'],
  ['a bad page token of functions', 'GET', `${F}?page_token=bm9uc2Vuc2U`, undefined, 400, 'INVALID_PAGE_TOKEN'],
  ['a bad page token of a log', 'GET', `/v1/events/${UNKNOWN}/logs?page_token=x`, undefined, 400, 'INVALID_PAGE_TOKEN'],
  ['a page size that is none', 'GET', `${EVENTS}?page_size=ten`, undefined, 400, 'INVALID_FIELD'],
  ['a state that does not exist', 'GET', `${EVENTS}?state=ASLEEP`, undefined, 400, 'INVALID_FIELD'],
  ['a time that does not exist', 'GET', `${EVENTS}?start_time_after=2026-02-31T25:00:00Z`, undefined, 400, 'INVALID_FIELD'],
  ['a year before all years', 'GET', `${EVENTS}?start_time_after=0000-01-01T00:00:00Z`, undefined, 400, 'INVALID_FIELD'],
  ['a bad signal', 'POST', END, { graceful: true, kill_signal: 'SIGSTOP' }, 400, 'INVALID_FIELD'],
  ['a grace period longer than any', 'POST', END, { graceful: true, grace_period: '25h' }, 400, 'INVALID_FIELD'],
  ['a way to wait that is none', 'POST', END, { wait: 'for ever' }, 400, 'INVALID_FIELD'],
  ['terminating what does not exist', 'POST', END, {}, 404, 'EVENT_NOT_FOUND'],
  ['a zip that is none', 'POST', F, create({ code_zip: Buffer.from('not a zip').toString('base64') }), 400, 'INVALID_CODE_PACKAGE'],
  ['base64 that is none', 'POST', F, create({ code_zip: '*&^%' }), 400, 'INVALID_FIELD'],
  ['a zip that leads out', 'POST', F, create({}, CODE, { name: '../index.js', data: 'x' }), 400, 'INVALID_CODE_PACKAGE'],
  ['a zip with an absolute path', 'POST', F, create({}, CODE, { name: '/etc/passwd', data: 'x' }), 400, 'INVALID_CODE_PACKAGE'],
  ['a zip with a link', 'POST', F, create({}, CODE, { name: 'link', data: '/etc/passwd', mode: 0o120777 }), 400, 'INVALID_CODE_PACKAGE'],
  ['a zip with a device', 'POST', F, create({}, CODE, { name: 'tty', mode: 0o020666 }), 400, 'INVALID_CODE_PACKAGE'],
  ['a zip with NUL in a name', 'POST', F, create({}, CODE, { name: 'a\0b', data: 'x' }), 400, 'INVALID_CODE_PACKAGE'],
  ['a zip that lies about its size', 'POST', F, create({}, { ...CODE, claimedSize: 3 }), 400, 'INVALID_CODE_PACKAGE'],
  ['a zip that is a bomb', 'POST', F, create({}, CODE, ...bomb()), 413, 'CODE_PACKAGE_TOO_LARGE'],
  ['a zip without its handler', 'POST', F, create({}, { name: 'other.js', data: '' }), 400, 'INVALID_CODE_PACKAGE'],
];

/** 600 MB of nothing in half a megabyte. */
function bomb() {
  const data = Buffer.alloc(100 * 1024 * 1024);
  return Array.from({ length: 6 }, (_, i) => ({ name: `zeros-${i}`, data }));
}

function assertDocumented(body: unknown, status: number, reason: string): void {
  const { error } = body as ErrorAnswer;
  assert.deepEqual([error?.code, error?.details?.[0]?.reason], [status, reason], JSON.stringify(body).slice(0, 500));
  assert.deepEqual(Object.keys(error).sort(), ['code', 'details', 'message', 'status']);
  assert.ok(error.message.length > 0 && error.message.length < 2_000);
  assert.match(error.status, /^[A-Z_]+$/);
  for (const detail of error.details) assert.deepEqual([detail.domain, typeof detail.metadata], ['evenfall', 'object']);
}

describe('what no client should send', () => {
  let stack: Stack;
  let sql: Sql;
  let before_: string;
  const inventory = async (): Promise<string> => {
    const { body } = await stack.rest.call('GET', `${F}?page_size=100`);
    const [counts] = await sql`
      SELECT (SELECT count(*) FROM registry.code_package)::int AS packages,
        (SELECT count(*) FROM events.open_event)::int AS open, (SELECT count(*) FROM events.ended_event)::int AS ended`;
    return JSON.stringify([body, counts]);
  };
  before(async () => {
    stack = await startStack();
    sql = stackSql(stack);
    await stack.rest.deployExample('echo', { event_invoke: { max_retries: 0 } });
    before_ = await inventory();
  });
  after(async () => {
    await sql.end();
    await stack.dispose();
  });

  for (const [name, method, path, body, status, reason, headers] of ROWS) {
    it(`${name} is ${status} ${reason}`, async () => {
      const answer = await stack.rest.call(method, path, body, headers ? { headers } : {});
      assert.equal(answer.status, status, JSON.stringify(answer.body).slice(0, 500));
      assert.match(answer.headers.get('content-type') ?? '', /^application\/json/);
      if (status >= 400) assertDocumented(answer.body, status, reason);
    });
  }

  it('takes huge headers, and a line that is not HTTP, for what they are', async () => {
    const huge = await rawHttp(stack.http, `GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-long: ${LONG}\r\n\r\n`);
    assert.match(huge, /^HTTP\/1\.1 431 /);
    assert.match(huge, /"code":431,"status":"INVALID_ARGUMENT"/);
    const nonsense = await rawHttp(stack.http, 'HELLO THERE\r\n\r\n');
    assert.match(nonsense, /^HTTP\/1\.1 400 /);
    const smuggled = await rawHttp(
      stack.http,
      'POST /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    );
    assert.match(smuggled, /^HTTP\/1\.1 400 /);
  });

  it('refuses a page token that was changed, also one that still belongs to its filter', async () => {
    const ids = await stack.rest.sendBatch('echo', [{ payload: 1 }, { payload: 2 }]);
    for (const id of ids) await stack.rest.ended(id);
    const { body } = await stack.rest.call<{ next_page_token: string }>('GET', `${EVENTS}?page_size=1`);
    const [hash, , id] = JSON.parse(Buffer.from(body.next_page_token, 'base64url').toString()) as [string, number, string];
    for (const time of [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, -8.64e15, 8.64e15, 1.5, 'infinity', {}]) {
      const token = Buffer.from(JSON.stringify([hash, time, id])).toString('base64url');
      const answer = await stack.rest.call('GET', `${EVENTS}?page_size=1&page_token=${token}`);
      assert.equal(answer.status, 400, `${JSON.stringify(time)}: ${JSON.stringify(answer.body)}`);
      assertDocumented(answer.body, 400, 'INVALID_PAGE_TOKEN');
    }
    const other = await stack.rest.call('GET', `${EVENTS}?page_size=1&state=FAILED&page_token=${body.next_page_token}`);
    assertDocumented(other.body, 400, 'INVALID_PAGE_TOKEN');
  });

  it('refuses over gRPC what REST cannot even say', async () => {
    const { client, close } = grpcClient(EventServiceService, stack.grpc, { headers: stack.headers });
    const faults = async (call: Promise<unknown>): Promise<string> =>
      call.then(
        () => 'taken',
        (error: unknown) => (isRefusal(error) ? error.reason : String(error)),
      );
    const list = { ...ListEventsRequest.create(), namespace: 'default', function: 'echo' };
    try {
      assert.equal(await faults(client.listEvents({ ...list, startTimeAfter: new Date(8.64e15) })), 'INVALID_FIELD');
      assert.equal(await faults(client.listEvents({ ...list, endTimeBefore: new Date(-8.64e15) })), 'INVALID_FIELD');
      assert.equal(await faults(client.listEvents({ ...list, states: [99 as never] })), 'INVALID_FIELD');
      assert.equal(await faults(client.listEvents({ ...list, orderBy: 99 as never })), 'INVALID_FIELD');
      assert.equal(await faults(client.listEvents({ ...list, trigger: 'a\0b' })), 'INVALID_FIELD');
      assert.equal(await faults(client.listEvents({ ...list, pageSize: -1 })), 'INVALID_FIELD');
      assert.equal(await faults(client.getEvent({ id: 'a\0b' })), 'EVENT_NOT_FOUND');
      const submission = { payload: Buffer.from('1'), idempotencyKey: '', delay: { seconds: 2n ** 62n, nanos: 0 } };
      assert.equal(
        await faults(client.createEvent({ namespace: 'default', function: 'echo', qualifier: '', submission })),
        'INVALID_FIELD',
      );
    } finally {
      close();
    }
  });

  it('runs an unusual payload, or reports why not, and stays up', async () => {
    for (const payload of [
      DEEP.slice(50_000, -50_000),
      '"\\u0000\\ud800"',
      '{"__proto__":{"a":1}}',
      '-0',
      '1e400',
      '12345678901234567890',
    ]) {
      const answer = await stack.rest.call<{ id: string }>('POST', EVENTS, payload);
      if (answer.status === 400) {
        assertDocumented(answer.body, 400, 'PAYLOAD_NOT_JSON');
        continue;
      }
      assert.equal(answer.status, 202);
      const event = await stack.rest.ended(answer.body.id);
      assert.ok(event.state === 'SUCCEEDED' || event.state === 'FAILED', event.state);
    }
    const fine = await stack.rest.send('echo', 'still here');
    assert.equal((await stack.rest.ended(fine.id)).result, 'still here');
  });

  it('takes a batch payload as deep as a single one', async () => {
    const deep = DEEP.slice(95_000, -95_000);
    for (const depth of [deep, DEEP.slice(50_000, -50_000)]) {
      const answer = await stack.rest.call('POST', BATCH, `{"events":[{"payload":${depth}}]}`);
      if (answer.status === 202) continue;
      assertDocumented(answer.body, 400, 'PAYLOAD_NOT_JSON');
    }
    await eventually(async () => (await stack.rest.list('echo', 'state=QUEUED&state=RUNNING')).length === 0);
  });

  it('leaves nothing of it behind', async () => {
    await sql`DELETE FROM events.ended_event`; // of the events that were taken above
    assert.equal(await inventory(), before_);
    assert.doesNotMatch(stack.stderr(), /failed unexpectedly|REST call failed/);
  });
});
