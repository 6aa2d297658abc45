import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import { type Answer, type Asked, run, stubApi, type StubApi } from './testing/stub-api.ts';

const hostile = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ...[
          '\x1b[2J',
          '\x1b]0;owned\x07',
          '\x1b[36mplatform',
          '\x1b[31m',
          '\r',
          '\n',
          '\r\n',
          '\t',
          '\b\b',
          '\x7f',
          '\x9b2J',
          '\x85',
          '\0',
        ],
        ...[
          '\u2028',
          '\u202e',
          '\u2066',
          '\u200b',
          '\ud800',
          '\n2026-01-01 00:00:00.000  platform  [PLATFORM] Signal received successfully',
        ],
      ),
      fc.string({ unit: 'binary', maxLength: 4 }),
    ),
    { minLength: 1, maxLength: 6 },
  )
  .map((parts) => `x${parts.join('')}`);

const TIME = '2026-01-01T00:00:00.000Z';
/** Answers of the server in which every text that is, or might be, of a function or a caller is `text`. */
function answersWith(text: string): (asked: Asked) => Answer {
  const receipt = {
    ...{ cause: text, mode: text, requester: text, reason: text, request_time: TIME, outcome: text, end_time: TIME, duration_ms: 1 },
    ...{ policy: { kill_signal: text, grace_period: text, signal_scope: text, escalation: [] }, swept_process_count: 0, containment: text },
    steps: [{ signal: text, sent_time: TIME, disposition: text, delivery: text, reception: text }],
    extensions: [{ requested: text, granted: text, reason: text }],
    changes: [{ cause: text, mode: text, grace_period: text, effect: text }],
    exit: { kind: text, signal: text, answer_time: TIME, duration_ms: 1 },
  };
  const attempt = { number: 1, instance_id: text, agent_id: text, cold_start: true, revision: 1, start_time: TIME, end_time: TIME };
  const event = {
    ...{ id: text, namespace: text, function: text, qualifier: text, version: text, trigger: text, state: 'FAILED', status_code: 430 },
    ...{ result: { [text]: text }, error: text, create_time: TIME, start_time: TIME, end_time: TIME, next_attempt_time: null },
    attempts: [{ ...attempt, outcome: text, status_code: 430, duration_ms: 1, memory_bytes: 1, error: text, stop: receipt }],
    termination: receipt,
    redriven_from: text,
    origin_event_id: text,
    deliveries: [{ kind: text, target: text, state: text, attempt_count: 1, last_error: text, time: TIME }],
  };
  const fn = {
    ...{ namespace: text, name: text, version: text, revision: 1, description: text, runtime: text, handler: text, timeout: text },
    ...{ memory_mb: 1, environment: { [text]: text }, code_sha256: text, code_size_bytes: 1, update_time: TIME },
  };
  const line = { time: TIME, stream: 'STDOUT', attempt: 1, instance_id: text, text };
  const instance = {
    id: text,
    agent_id: text,
    namespace: text,
    function: text,
    version: text,
    state: text,
    event_id: text,
    start_time: TIME,
  };
  const agent = { id: text, capacity_mb: 1, used_mb: 1, instance_count: 0, attempt_count: 0, attach_time: TIME, state: text };
  const item = (kind: string, value: object): string => `id: 1\nevent: ${kind}\ndata: ${JSON.stringify(value)}\n\n`;
  const refusal = { error: { code: 400, status: text, message: text, details: [text, text].map((one) => ({ reason: one, domain: one, metadata: { field: one, rule: one } })) } }; // prettier-ignore
  const record = {
    partition: 0,
    offset: 1,
    event_id: text,
    attempt: 1,
    change: text,
    reason: text,
    reduced: true,
    time: TIME,
    size_bytes: 1,
  };
  const bodies: readonly (readonly [RegExp, Answer])[] = [
    [/refused/, { status: 400, json: refusal }],
    [/nonsense/, { status: 500, text: `${text.slice(0, 150)}<` }],
    [/follow=true/, { stream: `${item('line', line)}id: end\nevent: end\ndata: {}\n\n` }],
    [/broken:watch/, { stream: item('error', refusal) }],
    [/:watch/, { stream: item('change', event) }],
    [
      /\/logs/,
      {
        json: { lines: [line, { ...line, stream: 'PLATFORM', text: 'END RequestId' }, { ...line, stream: 'ERROR' }], next_page_token: '' },
      },
    ],
    [/:invoke/, { json: { event_id: text, status_code: 430, error: { [text]: text }, log_tail: text, duration_ms: 1, memory_bytes: 1 } }],
    [/dead-letters\?/, { json: { dead_letters: [{ event, payload: text }], next_page_token: text } }],
    [/dead-letters/, { json: { event, payload: { [text]: text } } }],
    [/events:count/, { json: { counts: [{ function: text, state: text, count: 1 }] } }],
    [/events\?/, { json: { events: [event], next_page_token: text, total_size: 1 } }],
    [/provisioned/, { json: { versions: [{ version: text, instances: 1, available_instances: 1, starting_instances: 0, state: text, reason: text }], unallocated_mb: 1 } }], // prettier-ignore
    [/reserved/, { json: { memory_mb: 1, total_mb: 1, available_mb: 1 } }],
    [/\/versions/, { json: { versions: [fn], next_page_token: '' } }],
    [/functions\?/, { json: { functions: [fn], next_page_token: '' } }],
    [/functions\/f$/, { json: fn }],
    [/events/, { json: event }],
    [
      /agents/,
      { json: { agents: [{ ...agent, drain_deadline_time: text, abilities: [{ name: text, available: false, detail: text }] }] } },
    ],
    [/instances/, { json: { instances: [instance] } }],
    [/put-aside/, { json: { records: [record], total_size: 1 } }],
    [/purge/, { json: { partitions: [{ name: text, kind: text, from_time: TIME, to_time: TIME, due_time: TIME, row_estimate: 1, size_bytes: 1 }], held_back: text } }], // prettier-ignore
  ];
  return ({ url }) => bodies.find(([path]) => path.test(url))?.[1] ?? { json: {} };
}

const COMMANDS = [
  ...['invoke f --payload 1', 'invoke f --async --wait --payload 1', 'logs e', 'logs e -f', 'events get e', 'events watch e'],
  ...['events list f --total', 'events count', 'events terminate e', 'dead-letters list f', 'dead-letters get e', 'functions list'],
  ...['functions get f', 'functions versions f', 'functions concurrency get f', 'agents', 'doctor', 'instances', 'purge --dry-run'],
  ...['events get refused', 'events get nonsense', 'events watch broken'],
].map((words) => words.split(' '));

describe('What functions and callers said, on a terminal', () => {
  let api: StubApi;
  let text = '';
  before(async () => {
    api = await stubApi((asked) => answersWith(text)(asked));
  });
  after(() => api.close());
  const shown = async (output: string, args: readonly string[], isTerminal: boolean): Promise<string> => {
    text = output;
    const { out, err } = await run(api.url, args, { isTerminal });
    return out + err;
  };

  it('is seen, is obeyed by none, and makes no line', async () => {
    const lines = new Map<string, number>();
    for (const args of COMMANDS) lines.set(args.join(' '), (await shown('x', args, false)).split('\n').length);
    await fc.assert(
      fc.asyncProperty(hostile, async (output) => {
        for (const args of COMMANDS) {
          for (const isTerminal of [true, false]) {
            const all = await shown(output, args, isTerminal);
            const plain = isTerminal ? stripVTControlCharacters(all) : all;
            const where = `${args.join(' ')}: ${JSON.stringify(all.slice(0, 600))}`;
            assert.doesNotMatch(plain.replaceAll('\n', ''), /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u200b\u202a-\u202e\u2066-\u2069]/u, where);
            assert.equal(all.split('\n').length, lines.get(args.join(' ')), where);
            assert.ok(!all.includes('\x1b[36mplatform') || args[0] === 'logs', where);
          }
        }
      }),
      { numRuns: 25 },
    );
  });

  it('has beside every line of a log whose it is', async () => {
    const out = await shown('[PLATFORM] Signal received successfully', ['logs', 'e'], false);
    assert.deepEqual(
      out
        .trimEnd()
        .split('\n')
        .map((line) => line.slice(25).split(/ {2,}/)),
      [
        ['stdout', '[PLATFORM] Signal received successfully'],
        ['platform', 'END RequestId'],
        ['error', '[PLATFORM] Signal received successfully'],
      ],
    );
  });

  it('is the JSON it was for machines, on a terminal too', async () => {
    const output = 'a\x1b[2J\r\n\x9b2J\u202e\u2028\ud800\x7f';
    for (const isTerminal of [true, false]) {
      const event = JSON.parse(await shown(output, ['events', 'get', 'e', '--json'], isTerminal)) as { error: string; result: object };
      assert.deepEqual([event.error, event.result], [output, { [output]: output }]);
      const line = JSON.parse((await shown(output, ['logs', 'e', '-f', '--json'], isTerminal)).split('\n')[0] ?? '') as { text: string };
      assert.equal(line.text, output);
    }
    assert.doesNotMatch(await shown(output, ['events', 'get', 'e', '--json'], true), /[\x7f-\x9f\u202e\u2028]/);
  });
});
