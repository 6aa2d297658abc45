import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { call, openApis, WITH_KEY } from '../../../testing/harness.ts';

const EVENTS = '/v1/namespaces/default/functions/killer/events:batchCreate';
const LINES = { 'content-type': 'application/x-ndjson' };
type Line = {
  readonly id?: string;
  readonly error?: { readonly details: readonly { readonly reason: string; readonly metadata: Record<string, string> }[] };
};

describe('events as lines', () => {
  const apis = openApis({ maxPayloadBytes: 1_024 });
  const linesOf = (text: string): Line[] =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line);
  const send = async (body: string | Buffer, headers: Record<string, string> = {}) => {
    const answer = await call(`${apis.url}${EVENTS}`, 'POST', body, { ...LINES, ...headers });
    return { ...answer, lines: answer.status === 200 ? linesOf(answer.text) : [] };
  };

  it('are answered each by a line, in order; one that is turned away keeps none of its neighbours', async () => {
    const texts = [
      '{"payload": 1.0}',
      '',
      '{"payload": {"n": [1, 2]}, "idempotency_key": "a"}\r',
      '{"payload": nonsense}',
      '{"payload": 1, "delay": "soon"}',
      '{"payload": 1, "delay": "1h"}',
      '{"payload": 1, "delay": "99h"}',
      `{"payload": "${'x'.repeat(2_000)}"}`,
      `{"payload": "${'x'.repeat(20_000)}"}`,
      '{"payload": 1, "what": 2}',
      '[1]',
      '{}',
      '{"payload": "last"}',
    ];
    const { status, lines, headers } = await send(texts.join('\n'));
    assert.equal(status, 200);
    assert.match(headers.get('content-type') ?? '', /^application\/x-ndjson/);
    const said = lines.map(({ id, error }) => (id === undefined ? (error?.details[0]?.reason ?? '') : 'taken'));
    const wrong = [
      'INVALID_JSON',
      'INVALID_FIELD',
      'taken',
      'INVALID_FIELD',
      'PAYLOAD_TOO_LARGE',
      'PAYLOAD_TOO_LARGE',
      'INVALID_FIELD',
      'INVALID_FIELD',
    ];
    assert.deepEqual(said, ['taken', 'taken', ...wrong, 'taken', 'taken']);
    assert.deepEqual(
      apis.world.accepted.map(({ accepted }) => accepted?.payload.toString()),
      ['1.0', '{"n": [1, 2]}', '1', 'null', '"last"'],
    );
    assert.deepEqual(
      lines.filter(({ id }) => id !== undefined).map(({ id }) => id),
      apis.world.accepted.map(({ eventId }) => eventId),
    );
  });

  it('are taken in any number, packed or not, and refused as a whole where no line could be taken', async () => {
    const many = Array.from({ length: 2_500 }, (_, n) => `{"payload": ${n}}`).join('\n');
    assert.equal((await send(many)).lines.length, 2_500);
    assert.equal(apis.world.accepted.length, 2_500);
    assert.equal((await send(gzipSync(many), { 'content-encoding': 'gzip' })).lines.length, 2_500);
    assert.equal((await send('', {})).text, '');
    const unknown = await call(`${apis.url}${EVENTS.replace('killer', 'unknown')}`, 'POST', '{}', LINES);
    assert.equal(unknown.status, 404);
    assert.equal((await call(`${apis.url}${EVENTS}`, 'POST', '{}', { ...LINES, authorization: '' })).status, 401);
  });

  it('are answered while further ones come', async () => {
    const asked = request(`${apis.url}${EVENTS}`, { method: 'POST', headers: { ...WITH_KEY, ...LINES } });
    const answered = once(asked, 'response');
    asked.write('{"payload": 1}\n{"pay');
    const [response] = (await answered) as [NodeJS.ReadableStream];
    const lines = createInterface({ input: response })[Symbol.asyncIterator]();
    assert.match(String((await lines.next()).value), /^\{"id":/);
    asked.write('load": 2}\n');
    assert.match(String((await lines.next()).value), /^\{"id":/);
    asked.end('{"payload": 3}');
    assert.match(String((await lines.next()).value), /^\{"id":/);
    assert.equal((await lines.next()).done, true);
  });
});
