import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compact, visibleLines } from '@evenfall/json-text';
import { hostileJson } from '@evenfall/json-text/testing';
import { tempDir } from '@evenfall/testkit';
import fc from 'fast-check';
import { type Answer, type Asked, run, stubApi, type StubApi } from './testing/stub-api.ts';

const EVENT = {
  id: 'e1',
  namespace: 'default',
  function: 'f',
  qualifier: '$LATEST',
  version: '$LATEST',
  trigger: 'api',
  state: 'RUNNING',
  status_code: 0,
  result: null,
  error: null,
  create_time: '2026-01-01T00:00:00.000Z',
  start_time: null,
  end_time: null,
  next_attempt_time: null,
  attempts: [],
  termination: null,
};
const EXAMPLE = fileURLToPath(new URL('../../../examples/functions/echo', import.meta.url));
const ENDED = { ...EVENT, state: 'SUCCEEDED', status_code: 200, result: 'END' };
const REFUSAL = {
  error: {
    code: 404,
    status: 'NOT_FOUND',
    message: 'There is no event.',
    details: [{ reason: 'EVENT_NOT_FOUND', domain: 'evenfall', metadata: {} }],
  },
};
const change = (event: object, id: number): string => `id: ${id}\nevent: change\ndata: ${JSON.stringify(event)}\n\n`;

describe('the evenfall command', () => {
  let api: StubApi;
  let answer: (asked: Asked) => Answer = () => ({ json: {} });
  before(async () => {
    api = await stubApi((asked) => answer(asked));
  });
  after(() => api.close());
  beforeEach(() => void api.asked.splice(0));

  it('calls a function with the payload it is given', async () => {
    answer = () => ({ json: { event_id: 'x', status_code: 200, result: { b: 1 }, log_tail: '', duration_ms: 1, memory_bytes: 1 } });
    for (const args of [['--payload', '{"a":1}'], []]) {
      const ran = await run(api.url, ['invoke', 'f', ...args, '--json'], args.length === 0 ? { stdin: '{"a":1}' } : {});
      assert.equal(ran.code, 0, ran.err);
      assert.deepEqual((JSON.parse(ran.out) as { result: unknown }).result, { b: 1 });
    }
    assert.deepEqual(
      api.asked.map(({ url, body }) => [url, body]),
      [0, 1].map(() => ['/v1/namespaces/default/functions/f:invoke', '{"a":1}']),
    );
  });

  it('fails where the function failed', async () => {
    answer = () => ({ json: { event_id: 'x', status_code: 430, error: { message: 'no' }, log_tail: '', duration_ms: 1, memory_bytes: 1 } });
    const ran = await run(api.url, ['invoke', 'f', '--payload', '1']);
    assert.equal(ran.code, 1);
    assert.match(ran.out, /"message": "no"/);
    assert.match(ran.err, /failed with 430/);
  });

  it('hands over an event with its headers and waits for its end', async () => {
    answer = ({ method }) =>
      method === 'POST' ? { status: 202, json: EVENT } : { stream: `: hi\n\n${change(EVENT, 1)}${change(ENDED, 2)}` };
    const args = ['invoke', 'f', '-n', 'other', '--async', '--wait', '--delay', '3s', '--idempotency-key', 'k', '--qualifier', '2'];
    const ran = await run(api.url, [...args, '--json'], { env: { EVENFALL_ACCESS_KEY: 'id:secret' } });
    assert.equal(ran.code, 0, ran.err);
    assert.equal((JSON.parse(ran.out) as { state: string }).state, 'SUCCEEDED');
    const [accept, watch] = api.asked;
    assert.equal(accept?.url, '/v1/namespaces/other/functions/f/events');
    assert.equal(accept.headers['evenfall-delay'], '3s');
    assert.equal(accept.headers['idempotency-key'], 'k');
    assert.equal(accept.headers['evenfall-qualifier'], '2');
    assert.equal(accept.headers.authorization, 'Bearer id:secret');
    assert.equal(watch?.url, '/v1/events/e1:watch');
  });

  it('takes a watch up again where it broke', async () => {
    answer = ({ url, headers }) => {
      if (!url.endsWith(':watch')) return { json: EVENT };
      return headers['last-event-id'] === undefined ? { stream: change(EVENT, 4), broken: true } : { stream: change(ENDED, 5) };
    };
    const ran = await run(api.url, ['events', 'watch', 'e1']);
    assert.equal(ran.code, 0, ran.err);
    assert.deepEqual(ran.out.match(/RUNNING|SUCCEEDED/g), ['RUNNING', 'SUCCEEDED']);
    assert.equal(api.asked.at(-1)?.headers['last-event-id'], '4');
  });

  it('takes a log up again where it broke, and ends with it', async () => {
    const line = (n: number): string =>
      `id: ${n}\nevent: line\ndata: ${JSON.stringify({ time: null, stream: 'STDOUT', attempt: 1, instance_id: 'i', text: `line ${n}` })}\n\n`;
    answer = ({ headers }) =>
      headers['last-event-id'] === undefined
        ? { stream: line(1), broken: true }
        : { stream: `${line(2)}id: end\r\nevent: end\r\ndata: {}\r\n\r\n` };
    const ran = await run(api.url, ['logs', 'e1', '-f']);
    assert.equal(ran.code, 0, ran.err);
    assert.deepEqual(ran.out.match(/line \d/g), ['line 1', 'line 2']);
    assert.equal(api.asked.at(-1)?.headers['last-event-id'], '1');
  });

  it('shows JSON of users as the server sent it', async () => {
    const asText = (name: string, json: string): string =>
      JSON.stringify({ ...ENDED, result: null, [name]: 'HERE' }).replace('"HERE"', json);
    const call = (name: string, json: string): string =>
      `{"event_id":"x","status_code":${name === 'result' ? 200 : 430},"${name}":${json},"log_tail":"","duration_ms":1,"memory_bytes":1}`;
    const check = async (json: string): Promise<void> => {
      const shown = compact(json);
      for (const name of ['result', 'error']) {
        answer = ({ method, url }) => {
          const event = asText(name, json);
          if (url.endsWith(':watch')) return { stream: `id: 1\nevent: change\ndata: ${event.split(/\r?\n/).join('\ndata: ')}\n\n` };
          if (url.endsWith(':invoke')) return { text: call(name, json) };
          if (url.includes('dead-letters')) return { text: `{"event":${event},"payload":${json}}` };
          return { text: method === 'GET' && url.includes('/events?') ? `{"events":[${event}],"next_page_token":""}` : event };
        };
        for (const args of [
          ['invoke', 'f', '--payload', '1'],
          ['invoke', 'f', '--payload', '1', '--async', '--wait'],
          ['events', 'get', 'e1'],
          ['events', 'watch', 'e1'],
          ['events', 'list', 'f'],
          ['dead-letters', 'get', 'e1'],
        ]) {
          const machine = await run(api.url, [...args, '--json']);
          assert.ok(machine.out.includes(`"${name}":${shown}`), `${args.join(' ')}: ${machine.out.slice(0, 400)}`);
          assert.equal(machine.out.trimEnd().split('\n').length, 1);
          if (args[1] === 'watch' || args[1] === 'list') continue; // for people they show no result
          if (json === 'null') continue;
          const people = await run(api.url, args);
          assert.ok(compact(people.out).includes(visibleLines(shown)), `${args.join(' ')}: ${people.out.slice(0, 400)}`);
        }
      }
    };
    await check('{"n":12345678901234567890,"one":1.0,"minus":-0,"far":1E400,"b":1,"b":2,"2":0,"1":0}');
    await check('{"answer": 42}\n');
    await fc.assert(fc.asyncProperty(hostileJson({ isFlat: true }), check), { numRuns: 15 });
  });

  it('sends the bytes of a file, or of standard input, as they are', async () => {
    const bytes = Buffer.from('{"v":"caf\xe9", "n": 1.0}\n', 'latin1');
    const folder = tempDir('invoke');
    try {
      const file = join(folder.path, 'payload.json');
      writeFileSync(file, bytes);
      answer = () => ({ json: EVENT });
      for (const more of [{ args: ['--file', file] }, { args: [], stdin: bytes }, { args: ['--file', '-'], stdin: bytes }]) {
        const ran = await run(api.url, ['invoke', 'f', '--async', ...more.args], 'stdin' in more ? { stdin: more.stdin } : {});
        assert.equal(ran.code, 0, ran.err);
        assert.ok(api.asked.at(-1)?.bytes.equals(bytes));
      }
    } finally {
      folder.remove();
    }
  });

  it('sets back to its default whatever a description leaves out, inside of settings too', async () => {
    const folder = tempDir('deploy');
    try {
      const described = {
        name: 'f',
        runtime: 'nodejs',
        handler: 'index.h',
        termination: { kill_signal: 'SIGINT' },
        event_invoke: { max_retries: 0 },
      };
      writeFileSync(join(folder.path, 'function.json'), JSON.stringify({ ...described, termination_by_cause: { drain: {} } }));
      writeFileSync(join(folder.path, 'index.js'), '');
      answer = () => ({
        json: { name: 'f', namespace: 'default', version: '$LATEST', runtime: 'nodejs', code_sha256: '', code_size_bytes: 1 },
      });
      const ran = await run(api.url, ['deploy', folder.path]);
      assert.equal(ran.code, 0, ran.err);
      const patch = JSON.parse(api.asked.find(({ method }) => method === 'PATCH')?.body ?? '{}') as Record<string, unknown>;
      const gentle = { exit_grace: null, exit_after_answer: null };
      const policy = { grace_period: null, max_grace_period: null, escalation: null, signal_scope: null, ...gentle };
      assert.deepEqual(patch['termination'], { kill_signal: 'SIGINT', ...policy });
      assert.deepEqual(patch['termination_by_cause'], { timeout: null, drain: { kill_signal: null, ...policy }, update: null });
      const none = { retry_interval: null, max_event_age: null, on_success: null, on_failure: null };
      assert.deepEqual(patch['event_invoke'], { max_retries: 0, ...none });
      assert.deepEqual([patch['environment'], patch['pre_stop'], patch['handler']], [null, null, 'index.h']);
    } finally {
      folder.remove();
    }
  });

  it('terminates with the given options', async () => {
    answer = () => ({ json: EVENT });
    const ran = await run(api.url, ['events', 'terminate', 'e1', '--graceful', '--signal', 'int', '--grace', '5s', '--reason', 'enough']);
    assert.equal(ran.code, 0, ran.err);
    assert.deepEqual(JSON.parse(api.asked[0]?.body ?? ''), {
      graceful: true,
      kill_signal: 'SIGINT',
      grace_period: '5s',
      reason: 'enough',
    });
  });

  it('terminates in steps, and all of a group', async () => {
    answer = () => ({ json: EVENT });
    const steps = ['--escalation', 'SIGINT:2s', '--escalation', 'quit:500ms'];
    const ran = await run(api.url, ['events', 'terminate', 'e1', '--graceful', ...steps, '--scope', 'group']);
    assert.equal(ran.code, 0, ran.err);
    assert.deepEqual(JSON.parse(api.asked[0]?.body ?? ''), {
      graceful: true,
      escalation: [
        { signal: 'SIGINT', wait: '2s' },
        { signal: 'SIGQUIT', wait: '500ms' },
      ],
      signal_scope: 'GROUP',
    });
  });

  it('shows the deliveries of a result', async () => {
    const seen = { kind: 'FUNCTION', target: 'default/audit:$LATEST', state: 'DELIVERED', attempt_count: 1, last_error: null, time: null };
    const pending = {
      ...seen,
      kind: 'WEBHOOK',
      target: 'https://example.com',
      state: 'PENDING',
      attempt_count: 4,
      last_error: 'It answered 503',
    };
    answer = () => ({ json: { ...ENDED, origin_event_id: 'e0', deliveries: [{ ...seen, event_id: 'e2' }, pending] } });
    const ran = await run(api.url, ['events', 'get', 'e1']);
    assert.match(ran.out, /delivers +e0/);
    assert.match(ran.out, /function default\/audit:\$LATEST +DELIVERED +1 .* e2/);
    assert.match(ran.out, /webhook https:\/\/example\.com +PENDING +4 .* It answered 503/);
  });

  it('lists events as a table, and as JSON', async () => {
    answer = () => ({ json: { events: [ENDED], next_page_token: 'more' } });
    const ran = await run(api.url, ['events', 'list', 'f', '--state', 'running', 'queued', '--limit', '5']);
    assert.match(ran.out, /^EVENT +STATE.*\ne1 +SUCCEEDED +200 /);
    assert.equal(api.asked[0]?.url, '/v1/namespaces/default/functions/f/events?state=RUNNING&state=QUEUED&page_size=5');
    const json = await run(api.url, ['events', 'list', 'f', '--json']);
    assert.deepEqual(JSON.parse(json.out), { events: [ENDED], next_page_token: 'more' });
  });

  it('prints one document, and nothing else, for machines', async () => {
    const fn = { name: 'f', namespace: 'default', version: '1', code_sha256: '', memory_mb: 128, update_time: null };
    answer = ({ method, url }) => {
      if (method === 'DELETE') return { status: 204 };
      if (url.startsWith('/v1/agents')) return { json: { agents: [] } };
      if (url.startsWith('/v1/instances')) return { json: { instances: [] } };
      if (url.endsWith(':watch')) return { stream: change(ENDED, 1) };
      if (url.includes('/versions') && method === 'GET') return { json: { versions: [fn] } };
      if (url.endsWith('/events') && method === 'GET') return { json: { events: [], next_page_token: '' } };
      if (url.includes('/events')) return { json: EVENT };
      if (url.includes('/functions?')) return { json: { functions: [fn], next_page_token: '' } };
      return { json: fn };
    };
    for (const args of [
      ['agents'],
      ['instances'],
      ['functions', 'list'],
      ['functions', 'get', 'f'],
      ['functions', 'publish', 'f'],
      ['functions', 'versions', 'f'],
      ['functions', 'delete', 'f'],
      ['events', 'list', 'f'],
      ['events', 'get', 'e1'],
      ['events', 'terminate', 'e1', '--wait'],
      ['invoke', 'f', '--payload', '1', '--async', '--wait'],
      ['deploy', EXAMPLE],
    ]) {
      const ran = await run(api.url, [...args, '--json']);
      assert.equal(ran.code, 0, `${args.join(' ')}: ${ran.err}`);
      assert.doesNotThrow(() => JSON.parse(ran.out) as unknown, `${args.join(' ')} printed ${ran.out}`);
    }
  });

  it('ends with 1 and the reason where it is refused', async () => {
    answer = () => ({ status: 404, json: REFUSAL });
    const ran = await run(api.url, ['events', 'get', 'e1']);
    assert.deepEqual(ran, { code: 1, out: '', err: 'evenfall: There is no event.\n' });
    assert.deepEqual(JSON.parse((await run(api.url, ['events', 'get', 'e1', '--json'])).err), REFUSAL);
  });

  it('says so when nothing listens', async () => {
    const closed = await stubApi(() => ({}));
    closed.close();
    const ran = await run(closed.url, ['agents']);
    assert.equal(ran.code, 1);
    assert.match(ran.err, new RegExp(`Nothing listens at ${closed.url}`));
  });

  for (const args of [
    ['nonsense'],
    ['invoke'],
    ['agents', '--nonsense'],
    ['agents', '--url', 'nowhere'],
    ['invoke', 'f', '--delay', '3s'],
    ['invoke', 'f', '--payload', '1', '--file', 'x'],
    ['invoke', 'f', '--file', '/does/not/exist'],
    ['events', 'terminate', 'e1', '--signal', 'INT'],
    ['events', 'terminate', 'e1', '--scope', 'group'],
    ['events', 'terminate', 'e1', '--graceful', '--scope', 'all'],
    ['events', 'terminate', 'e1', '--graceful', '--escalation', 'SIGINT'],
    ['deploy', '/does/not/exist'],
  ]) {
    it(`ends with 2 for "${args.join(' ')}"`, async () => {
      const ran = await run(api.url, args);
      assert.equal(ran.code, 2, ran.err);
      assert.notEqual(ran.err, '');
      assert.equal(api.asked.length, 0);
    });
  }
});
