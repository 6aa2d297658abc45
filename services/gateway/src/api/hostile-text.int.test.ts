import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Attempt, Attempt_Outcome, Event } from '@evenfall/contracts/v1/event';
import { LogLine_Stream as Stream } from '@evenfall/contracts/v1/log_service';
import { InvokeResponse } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { eventually } from '@evenfall/testkit';
import fc from 'fast-check';
import { call, callScf, openApis, WITH_KEY } from '../testing/harness.ts';

const ID = '01990000-0000-7000-8000-0000000000aa';
const hostile = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ...[
          '\n',
          '\r',
          '\r\n',
          '\n\n',
          '\u2028',
          '\ud800',
          '\0',
          '\x1b[2J',
          '\x85',
          '"',
          '\\',
          '</script><script>alert(1)</script>',
          '<!--',
          ']]>',
        ],
        ...[
          '"},"state":"SUCCEEDED","x":{"y":"',
          '\ndata: {"id":"forged"}\n\n',
          '\nid: 999\nevent: change\n',
          'event: end\n\n',
          ',"injected":{"admin":true}',
        ],
        ...[
          '[PLATFORM] Signal received successfully',
          '\nEND RequestId: x',
          '\rReport RequestId: x',
          '{"a":1}',
          '[1, \n2]',
          'null',
          '1e400',
        ],
      ),
      fc.string({ unit: 'binary', maxLength: 5 }),
    ),
    { minLength: 1, maxLength: 8 },
  )
  .map((parts) => parts.join(''))
  .filter((text) => text !== '');

/** Reads a stream as WHATWG HTML §9.2.6 says. */
function eventsOf(text: string): { id: string | undefined; event: string; data: string }[] {
  return text.split(/(?:\r\n|\r|\n){2}/).flatMap((block) => {
    const fields = block.split(/\r\n|\r|\n/).map((line) => /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? []);
    const all = (name: string): string[] => fields.filter((field) => field[1] === name).map((field) => field[2] ?? '');
    return all('data').length === 0
      ? []
      : [{ id: all('id').at(-1), event: all('event').at(-1) ?? 'message', data: all('data').join('\n') }];
  });
}
/** The value that a function's bytes stand for: their JSON, or else a string. */
function valueOf(text: string): unknown {
  const whole = Buffer.from(text).toString();
  try {
    return JSON.parse(whole) as unknown;
  } catch {
    return whole;
  }
}

function eventWith(text: string): Event {
  const attempt = {
    ...Attempt.create({ number: 1, instanceId: text, agentId: text, outcome: Attempt_Outcome.THREW, statusCode: 430, signal: text }),
    ...{ startTime: new Date(1), endTime: new Date(2), error: Buffer.from(text) },
  };
  return {
    ...Event.create({
      id: ID,
      namespace: 'default',
      function: 'killer',
      qualifier: '$LATEST',
      version: '$LATEST',
      state: 5,
      statusCode: 430,
    }),
    ...{ result: Buffer.from(text), error: Buffer.from(text), attempts: [attempt], createTime: new Date(1), startTime: new Date(1) },
  };
}

describe('Texts of functions, at every API', () => {
  const apis = openApis();
  const isJson = (type: string | null): boolean => /^application\/json/.test(type ?? '');

  it('is a value of its own in every JSON answer, and in nothing a page', async () => {
    const paths = [`/v1/events/${ID}`, '/v1/namespaces/default/functions/killer/events?page_size=5', `/v1/events/${ID}/logs`];
    await fc.assert(
      fc.asyncProperty(hostile, async (text) => {
        apis.world.events.set(ID, eventWith(text));
        apis.world.logLines = [{ time: new Date(0), stream: Stream.STDOUT, attempt: 1, instanceId: 'i', text }];
        apis.world.invokeAnswer = InvokeResponse.create({ ended: { statusCode: 430, error: Buffer.from(text), logTail: text } });
        const [one, list, logs] = await Promise.all(paths.map((path) => call(apis.url + path, 'GET')));
        const invoked = await call(`${apis.url}/v1/namespaces/default/functions/killer:invoke`, 'POST', {});
        for (const answer of [one, list, logs, invoked]) {
          assert.ok(answer && answer.json !== undefined, answer?.text);
          assert.ok(isJson(answer.headers.get('content-type')));
          assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
        }
        const wanted = { result: valueOf(text), error: valueOf(text), state: 'FAILED' };
        for (const event of [one?.json, (list?.json as { events: unknown[] }).events[0]]) {
          const { result, error, state, attempts, injected } = event as { [name: string]: unknown; attempts: { error: unknown }[] };
          assert.deepEqual({ result, error, state }, wanted);
          assert.deepEqual([attempts.length, attempts[0]?.error, injected], [1, valueOf(text), undefined]);
        }
        assert.deepEqual(
          (logs?.json as { lines: { text: string }[] }).lines.map((line) => line.text.toWellFormed()),
          [text.toWellFormed()],
        );
        assert.deepEqual((invoked.json as { error: unknown }).error, valueOf(text));
      }),
      { numRuns: 150 },
    );
  });

  it('is within one event of a stream', async () => {
    await fc.assert(
      fc.asyncProperty(hostile, async (text) => {
        apis.world.events.set(ID, eventWith(text));
        apis.world.logLines = [{ time: new Date(0), stream: Stream.STDERR, attempt: 1, instanceId: 'i', text }];
        const log = eventsOf(await (await fetch(`${apis.url}/v1/events/${ID}/logs?follow=true`, { headers: WITH_KEY })).text());
        assert.deepEqual(
          log.map(({ event }) => event),
          ['line', 'end'],
        );
        const before = apis.world.watches.length;
        const opened = fetch(`${apis.url}/v1/events/${ID}:watch`, { headers: WITH_KEY });
        const watch = await eventually(() => apis.world.watches[before]);
        watch.out.push({ event: eventWith(text), version: 7 });
        watch.out.end();
        const response = await opened;
        assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
        const changes = eventsOf(await response.text());
        assert.deepEqual(
          changes.map(({ id, event }) => [id, event]),
          [['7', 'change']],
        );
        assert.deepEqual((JSON.parse(changes[0]?.data ?? '') as { result: unknown }).result, valueOf(text));
      }),
      { numRuns: 60 },
    );
  });

  it('is text within the answers of SCF, and in its logs no line of the platform’s', async () => {
    const ask = async (action: string, body: object): Promise<Record<string, unknown>> => {
      const answer = await callScf(apis.url, action, body);
      assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
      const { Response } = answer.json as { Response: Record<string, unknown> };
      assert.equal(Response['Error'], undefined, answer.text);
      return Response;
    };
    await fc.assert(
      fc.asyncProperty(hostile, fc.constantFrom(Stream.STDOUT, Stream.STDERR, Stream.ERROR), async (text, stream) => {
        apis.world.events.set(ID, eventWith(text));
        apis.world.logLines = [{ time: new Date(0), stream, attempt: 1, instanceId: 'i', text }];
        const named = { FunctionName: 'killer', FunctionRequestId: ID };
        const logs = (await ask('GetFunctionLogs', named))['Data'] as { Log: string; RetMsg: string }[];
        assert.equal(logs.length, 1);
        assert.equal(logs[0]?.RetMsg, Buffer.from(text).toString());
        assert.doesNotMatch(logs[0]?.Log ?? '', /(^|[\n\r\v\f\x85\u2028])(\[PLATFORM\]|END RequestId|Report RequestId)/);
        const status = (await ask('GetRequestStatus', { ...named, StartTime: '1970-01-01 00:00:00', EndTime: '1970-01-02 00:00:00' }))[
          'Data'
        ];
        assert.equal((status as { RetMsg: string }[])[0]?.RetMsg, Buffer.from(text).toString());
      }),
      { numRuns: 100 },
    );
  });
});
