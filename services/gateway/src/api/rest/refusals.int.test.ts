import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { refuse } from '@evenfall/errors';
import { type Answer, call, openApis } from '../../testing/harness.ts';

const F = '/v1/namespaces/default/functions';
const K = `${F}/killer`;
const ID = '01990000-0000-7000-8000-00000000dead';
const VALID = { name: 'newone', runtime: 'python3', handler: 'index.main' };
const JSON_TYPE = { 'content-type': 'application/json' };

type Row = readonly [
  name: string,
  method: string,
  path: string,
  body: unknown,
  headers: Record<string, string>,
  status: number,
  reason: string,
  field?: string,
];

const ROWS: readonly Row[] = [
  ['an unknown path', 'GET', '/v2', undefined, {}, 404, 'UNKNOWN_PATH'],
  ['an unknown verb', 'POST', `/v1/events/${ID}:redrive`, undefined, {}, 404, 'UNKNOWN_PATH'],
  ['a method that is not there', 'PUT', `/v1/events/${ID}`, {}, {}, 405, 'METHOD_NOT_ALLOWED'],
  ['a path that is not percent-encoded text', 'GET', '/v1/events/%E0%A4%A', undefined, {}, 400, 'INVALID_FIELD', 'path'],
  ['an unknown function', 'POST', `${F}/unknown/events`, {}, {}, 404, 'FUNCTION_NOT_FOUND'],
  ['an unknown qualifier', 'POST', `${K}/events`, {}, { 'evenfall-qualifier': 'nowhere' }, 404, 'QUALIFIER_NOT_FOUND'],
  ['a qualifier that cannot be', 'POST', `${K}/events`, {}, { 'evenfall-qualifier': 'a b' }, 400, 'INVALID_NAME', 'qualifier'],
  ['a function without code', 'POST', `${F}/empty/events`, {}, {}, 400, 'FUNCTION_HAS_NO_CODE'],
  ['a name that cannot be', 'POST', `${F}/9x/events`, {}, {}, 400, 'INVALID_NAME', 'function'],
  ['a namespace that cannot be', 'GET', '/v1/namespaces/a-/functions', undefined, {}, 400, 'INVALID_NAME', 'namespace'],
  ['a payload that is not JSON', 'POST', `${K}/events`, '{"a":', {}, 400, 'PAYLOAD_NOT_JSON'],
  ['a payload that is not UTF-8', 'POST', `${K}/events`, Buffer.from([0x22, 0xff, 0x22]), {}, 400, 'PAYLOAD_NOT_JSON'],
  ['a payload that is too large', 'POST', `${K}/events`, JSON.stringify('x'.repeat(131_071)), {}, 413, 'PAYLOAD_TOO_LARGE'],
  [
    'a payload of another type',
    'POST',
    `${K}/events`,
    'a=b',
    { 'content-type': 'application/x-www-form-urlencoded' },
    415,
    'UNSUPPORTED_MEDIA_TYPE',
  ],
  ['a delay that is none', 'POST', `${K}/events`, {}, { 'evenfall-delay': '5 minutes' }, 400, 'INVALID_FIELD', 'Evenfall-Delay'],
  ['a delay longer than the age', 'POST', `${K}/events`, {}, { 'evenfall-delay': '7h' }, 400, 'INVALID_FIELD', 'delay'],
  ['a key that is too long', 'POST', `${K}/events`, {}, { 'idempotency-key': 'k'.repeat(129) }, 400, 'INVALID_FIELD', 'idempotency_key'],
  ['an empty batch', 'POST', `${K}/events:batchCreate`, { events: [] }, {}, 400, 'INVALID_FIELD', 'events'],
  ['a batch of too many', 'POST', `${K}/events:batchCreate`, { events: Array(1_001).fill({}) }, {}, 400, 'INVALID_FIELD', 'events'],
  ['a batch with more in it', 'POST', `${K}/events:batchCreate`, { events: [{}], more: 1 }, {}, 400, 'INVALID_FIELD', 'events'],
  [
    'a batch event with more in it',
    'POST',
    `${K}/events:batchCreate`,
    { events: [{}, { payloads: 1 }] },
    {},
    400,
    'INVALID_FIELD',
    'events[1].payloads',
  ],
  [
    'a batch key that is no text',
    'POST',
    `${K}/events:batchCreate`,
    { events: [{ idempotency_key: 1 }] },
    {},
    400,
    'INVALID_FIELD',
    'events[0].idempotency_key',
  ],
  ['a batch that is not JSON', 'POST', `${K}/events:batchCreate`, '[', {}, 400, 'INVALID_JSON'],
  [
    'a batch payload that is too large',
    'POST',
    `${K}/events:batchCreate`,
    { events: [{ payload: 'x'.repeat(131_072) }] },
    {},
    413,
    'PAYLOAD_TOO_LARGE',
  ],
  ['an unknown event', 'GET', `/v1/events/${ID}`, undefined, {}, 404, 'EVENT_NOT_FOUND'],
  ['an id that cannot be', 'GET', '/v1/events/nonsense', undefined, {}, 404, 'EVENT_NOT_FOUND'],
  ['terminating an unknown event', 'POST', `/v1/events/${ID}:terminate`, {}, {}, 404, 'EVENT_NOT_FOUND'],
  ['watching an unknown event', 'GET', `/v1/events/${ID}:watch`, undefined, {}, 404, 'EVENT_NOT_FOUND'],
  ['following an unknown event', 'GET', `/v1/events/${ID}/logs?follow=true`, undefined, {}, 404, 'EVENT_NOT_FOUND'],
  [
    'a Last-Event-ID that is none',
    'GET',
    `/v1/events/${ID}:watch`,
    undefined,
    { 'last-event-id': 'x' },
    400,
    'INVALID_FIELD',
    'Last-Event-ID',
  ],
  [
    'a signal that does not exist',
    'POST',
    `/v1/events/${ID}:terminate`,
    { graceful: true, kill_signal: 'SIGFOO' },
    {},
    400,
    'INVALID_FIELD',
    'kill_signal',
  ],
  [
    'SIGKILL as a kill signal',
    'POST',
    `/v1/events/${ID}:terminate`,
    { graceful: true, kill_signal: 'SIGKILL' },
    {},
    400,
    'INVALID_FIELD',
    'kill_signal',
  ],
  ['a policy for a force stop', 'POST', `/v1/events/${ID}:terminate`, { kill_signal: 'SIGTERM' }, {}, 400, 'INVALID_FIELD', 'policy'],
  [
    'a grace period that is none',
    'POST',
    `/v1/events/${ID}:terminate`,
    { graceful: true, grace_period: '-1s' },
    {},
    400,
    'INVALID_FIELD',
    'grace_period',
  ],
  [
    'a grace period in days',
    'POST',
    `/v1/events/${ID}:terminate`,
    { graceful: true, grace_period: '25h' },
    {},
    400,
    'INVALID_FIELD',
    'grace_period',
  ],
  ['a flag that is text', 'POST', `/v1/events/${ID}:terminate`, { graceful: 'true' }, {}, 400, 'INVALID_FIELD', 'graceful'],
  ['a reason that is too long', 'POST', `/v1/events/${ID}:terminate`, { reason: 'x'.repeat(257) }, {}, 400, 'INVALID_FIELD', 'reason'],
  ['an unknown field', 'POST', `/v1/events/${ID}:terminate`, { gracefull: true }, {}, 400, 'INVALID_FIELD', 'gracefull'],
  [
    'a field of the prototype',
    'POST',
    `/v1/events/${ID}:terminate`,
    '{"__proto__": {"graceful": true}}',
    {},
    400,
    'INVALID_FIELD',
    '__proto__',
  ],
  ['a body that is no object', 'POST', `/v1/events/${ID}:terminate`, [], {}, 400, 'INVALID_FIELD', 'body'],
  ['a body that is not JSON', 'POST', F, '{', {}, 400, 'INVALID_JSON'],
  ['a body that is missing', 'POST', F, undefined, JSON_TYPE, 400, 'INVALID_FIELD', 'body'],
  ['a body that is too large', 'POST', `${K}/versions`, { description: 'x'.repeat(300_000) }, {}, 413, 'REQUEST_TOO_LARGE'],
  ['a function without a name', 'POST', F, { runtime: 'nodejs' }, {}, 400, 'INVALID_FIELD', 'name'],
  ['a function that exists', 'POST', F, { ...VALID, name: 'killer' }, {}, 409, 'FUNCTION_EXISTS'],
  ['a number as text', 'POST', F, { ...VALID, memory_mb: '128' }, {}, 400, 'INVALID_FIELD', 'memory_mb'],
  ['a fraction of a megabyte', 'POST', F, { ...VALID, memory_mb: 128.5 }, {}, 400, 'INVALID_FIELD', 'memory_mb'],
  ['a timeout that is a number', 'POST', F, { ...VALID, timeout: 5 }, {}, 400, 'INVALID_FIELD', 'timeout'],
  ['too many retries', 'POST', F, { ...VALID, event_invoke: { max_retries: 9 } }, {}, 400, 'INVALID_FIELD', 'event_invoke.max_retries'],
  ['an environment of numbers', 'POST', F, { ...VALID, environment: { A: 1 } }, {}, 400, 'INVALID_FIELD', 'environment.A'],
  ['code that is not base64', 'POST', F, { ...VALID, code_zip: '***' }, {}, 400, 'INVALID_FIELD', 'code_zip'],
  ['what the registry sets', 'POST', F, { ...VALID, revision: 3 }, {}, 400, 'INVALID_FIELD', 'revision'],
  ['an unknown field set to null', 'PATCH', K, { tmeout: null }, {}, 400, 'INVALID_FIELD', 'tmeout'],
  ['code as JSON', 'PUT', `${K}/code`, {}, {}, 415, 'UNSUPPORTED_MEDIA_TYPE'],
  ['a key beyond ASCII', 'POST', `${K}/events`, '1', { 'idempotency-key': 'caf\u00e9' }, 400, 'INVALID_FIELD', 'idempotency-key'],
  ['a key that is empty', 'POST', `${K}/events`, '1', { 'idempotency-key': '' }, 400, 'INVALID_FIELD', 'idempotency-key'],
  [
    'a key that is blank',
    'POST',
    `${K}/events:batchCreate`,
    { events: [{ idempotency_key: ' ' }] },
    {},
    400,
    'INVALID_FIELD',
    'idempotency_key',
  ],
  [
    'an empty key in a batch',
    'POST',
    `${K}/events:batchCreate`,
    { events: [{}, { idempotency_key: '' }] },
    {},
    400,
    'INVALID_FIELD',
    'events[1].idempotency_key',
  ],
  ['a body of null', 'POST', `/v1/events/${ID}:terminate`, 'null', {}, 400, 'INVALID_FIELD', 'body'],
  ...['2026-02-30T00:00:00Z', '2026-01-31T24:00:00Z', '2026-02-29T23:00:00-05:00', '2026-01-01T00:00:00+08:00', '0000-01-01T00:00:00Z'].map(
    (time): Row => [
      `a time such as ${time}`,
      'GET',
      `${K}/events?end_time_before=${time}`,
      undefined,
      {},
      400,
      'INVALID_FIELD',
      'end_time_before',
    ],
  ),
  ['a page size that is text', 'GET', `${K}/events?page_size=ten`, undefined, {}, 400, 'INVALID_FIELD', 'page_size'],
  ['a page size below nothing', 'GET', `${K}/events?page_size=-1`, undefined, {}, 400, 'INVALID_FIELD', 'page_size'],
  ['a page size given twice', 'GET', `${K}/events?page_size=1&page_size=2`, undefined, {}, 400, 'INVALID_FIELD', 'page_size'],
  ['a state that does not exist', 'GET', `${K}/events?state=DONE`, undefined, {}, 400, 'INVALID_FIELD', 'state.0'],
  ['a time that is none', 'GET', `${K}/events?start_time_after=yesterday`, undefined, {}, 400, 'INVALID_FIELD', 'start_time_after'],
  [
    'a day that does not exist',
    'GET',
    `${K}/events?start_time_after=2026-13-01T00:00:00Z`,
    undefined,
    {},
    400,
    'INVALID_FIELD',
    'start_time_after',
  ],
  ['an unknown query parameter', 'GET', `${K}/events?limit=1`, undefined, {}, 400, 'INVALID_FIELD', 'limit'],
  ['a page token of another place', 'GET', `${K}/events?page_token=bad`, undefined, {}, 400, 'INVALID_PAGE_TOKEN'],
  ['a sync payload that is too large', 'POST', `${K}:invoke`, JSON.stringify('x'.repeat(6 * 1024 * 1024)), {}, 413, 'PAYLOAD_TOO_LARGE'],
  ['a queue timeout that is none', 'POST', `${K}:invoke?queue_timeout=soon`, {}, {}, 400, 'INVALID_FIELD', 'queue_timeout'],
];

describe('what the REST API refuses', () => {
  const apis = openApis();

  for (const [name, method, path, body, headers, status, reason, field] of ROWS) {
    it(name, async () => {
      const answer = await call(`${apis.url}${path}`, method, body, headers);
      const detail = checkForm(answer, status, reason);
      if (field !== undefined) assert.equal(detail['field'], field);
      assert.equal(apis.world.accepted.length, 0, 'nothing was accepted');
    });
  }

  const FAILURES = [
    ['a full lane', refuse('LANE_FULL', { function: 'killer', limit: 100_000 }), 429, '5'],
    ['a log that is gone', refuse('LOG_UNAVAILABLE'), 503, '1'],
    ['an accident', new Error('secret detail'), 500, null],
  ] as const;
  for (const [name, failure, status, retryAfter] of FAILURES) {
    it(name, async () => {
      apis.world.queueFailure = failure;
      const answer = await call(`${apis.url}${K}/events`, 'POST', {});
      checkForm(answer, status, failure instanceof Error && 'reason' in failure ? failure.reason : 'INTERNAL');
      assert.equal(answer.headers.get('retry-after'), retryAfter);
      assert.ok(!answer.text.includes('secret'));
    });
  }

  it('reports all faults at once', async () => {
    const answer = await call(`${apis.url}${F}`, 'POST', { ...VALID, timeout: 1, memory_mb: 'x', foo: 1 });
    const { details } = (answer.json as { error: { details: { metadata: { field: string } }[] } }).error;
    assert.deepEqual(details.map(({ metadata }) => metadata.field).sort(), ['foo', 'memory_mb', 'timeout']);
  });

  it('answers what is not HTTP in the same form', async () => {
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect(apis.gateway.httpPort, '127.0.0.1', () => socket.write('nonsense\r\n\r\n'));
      let seen = '';
      socket.on('data', (data) => (seen += data.toString()));
      socket.on('close', () => resolve(seen));
      socket.on('error', reject);
    });
    assert.match(text, /^HTTP\/1\.1 400 .*"status":"INVALID_ARGUMENT"/s);
  });
});

function checkForm(answer: Answer, status: number, reason: string): Record<string, string> {
  assert.equal(answer.status, status, answer.text);
  assert.match(answer.headers.get('content-type') ?? '', /^application\/json/);
  const { error } = answer.json as {
    error: {
      code: number;
      status: string;
      message: string;
      details: { reason: string; domain: string; metadata: Record<string, string> }[];
    };
  };
  assert.equal(error.code, status);
  assert.match(error.status, /^[A-Z_]+$/);
  assert.ok(error.message.length > 10 && !/undefined|\{\w+\}/.test(error.message), error.message);
  const [detail] = error.details;
  assert.equal(detail?.reason, reason);
  assert.equal(detail?.domain, 'evenfall');
  return detail?.metadata ?? {};
}
