import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Event } from '@evenfall/contracts/v1/event';
import { EventServiceService } from '@evenfall/contracts/v1/event_service';
import { InvocationServiceService, InvokeFunctionRequest } from '@evenfall/contracts/v1/invocation_service';
import { InvokeResponse } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { compact } from '@evenfall/json-text';
import { hostileJson } from '@evenfall/json-text/testing';
import { grpcClient } from '@evenfall/rpc';
import { eventually } from '@evenfall/testkit';
import fc from 'fast-check';
import { call, callScf, openApis, WITH_KEY } from '../testing/harness.ts';

const ID = '01990000-0000-7000-8000-00000000000a';
const NAMED = { namespace: 'default', function: 'killer', qualifier: '' };
const FUNCTION = '/v1/namespaces/default/functions/killer';

describe('JSON of users', () => {
  const apis = openApis();
  const open: { close(): void }[] = [];
  const clients = () => {
    const address = `127.0.0.1:${apis.gateway.grpcPort}`;
    const events = grpcClient(EventServiceService, address, { headers: WITH_KEY });
    const invocations = grpcClient(InvocationServiceService, address, { headers: WITH_KEY });
    open.push(events, invocations);
    return { events: events.client, invocations: invocations.client };
  };
  let grpc: ReturnType<typeof clients>;
  before(() => {
    grpc = clients();
  });
  after(() => open.forEach((one) => one.close()));

  const submission = (payload: string) => ({ payload: Buffer.from(payload), idempotencyKey: '', delay: undefined });
  const scf = (action: string, body: object) => callScf(apis.url, action, body);
  const accepted = (): string => apis.world.accepted.at(-1)?.accepted?.payload.toString() ?? '';
  const invoked = (): string => apis.world.invocations.at(-1)?.assignment?.payload.toString() ?? '';
  const asEvent = { FunctionName: 'killer', InvocationType: 'Event' };

  /** Every operation that accepts a payload, and what was stored after it. */
  const ways: Readonly<Record<string, (json: string) => Promise<string>>> = {
    'POST events': async (json) => (await call(`${apis.url}${FUNCTION}/events`, 'POST', json), accepted()),
    'POST events:batchCreate': async (json) => {
      const body = `{ "events" : [{"payload": 1}, {"delay":"", "payload" :${json}} ] }`;
      const answer = await call(`${apis.url}${FUNCTION}/events:batchCreate`, 'POST', body);
      assert.equal(answer.status, 202, answer.text);
      return accepted();
    },
    'POST :invoke': async (json) => (await call(`${apis.url}${FUNCTION}:invoke`, 'POST', json), invoked()),
    CreateEvent: async (json) => (await grpc.events.createEvent({ ...NAMED, submission: submission(json) }), accepted()),
    BatchCreateEvents: async (json) => (await grpc.events.batchCreateEvents({ ...NAMED, submissions: [submission(json)] }), accepted()),
    StreamCreateEvents: async (json) => {
      async function* batches() {
        yield { batch: { ...NAMED, submissions: [submission(json)] } };
      }
      await grpc.events.streamCreateEvents(batches());
      return accepted();
    },
    InvokeFunction: async (json) => {
      await grpc.invocations.invokeFunction(InvokeFunctionRequest.create({ ...NAMED, payload: Buffer.from(json) }));
      return invoked();
    },
    'SCF Invoke': async (json) => (await scf('Invoke', { ...asEvent, ClientContext: json }), accepted()),
    'SCF InvokeFunction': async (json) => (await scf('InvokeFunction', { FunctionName: 'killer', Event: json }), invoked()),
    'POST :redrive': async (json) => {
      apis.world.deadLetters.set(ID, {
        event: Event.create({ id: ID, namespace: 'default', function: 'killer', qualifier: '$LATEST', state: 5 }),
        payload: Buffer.from(json),
      });
      const answer = await call(`${apis.url}/v1/dead-letters/${ID}:redrive`, 'POST');
      assert.equal(answer.status, 202, answer.text);
      return accepted();
    },
  };
  for (const [name, send] of Object.entries(ways)) {
    it(`comes in by ${name} as the bytes it is`, async () => {
      await fc.assert(
        fc.asyncProperty(hostileJson(), async (json) => {
          const expected = name.includes('batchCreate') ? json.trim() : json; // there the white space around it is the batch's
          assert.equal(await send(json), expected);
        }),
        { numRuns: 40 },
      );
    });
  }

  const event = (text: string): void => {
    const bytes = Buffer.from(text);
    const attempts = [{ number: 1, error: bytes }];
    apis.world.events.clear();
    apis.world.events.set(ID, Event.create({ id: ID, state: 5, result: bytes, error: bytes, attempts }));
    apis.world.deadLetters.clear();
    apis.world.deadLetters.set(ID, { event: Event.create({ id: ID, state: 5, error: bytes }), payload: bytes });
  };
  const get = async (path: string): Promise<string> => (await call(`${apis.url}${path}`, 'GET')).text;
  /** Every answer that shows it. */
  const views: Readonly<Record<string, () => Promise<string>>> = {
    'GET an event': () => get(`/v1/events/${ID}`),
    'GET events': () => get(`${FUNCTION}/events`),
    'GET a dead letter': () => get(`/v1/dead-letters/${ID}`),
    'GET dead letters': () => get(`${FUNCTION}/dead-letters`),
    'GET :watch': async () => {
      const known = apis.world.watches.length;
      const opened = fetch(`${apis.url}/v1/events/${ID}:watch`, { headers: WITH_KEY });
      await eventually(() => apis.world.watches.length > known);
      const watch = apis.world.watches.at(-1);
      watch?.out.push({ event: apis.world.events.get(ID), version: 1 });
      watch?.out.end();
      const text = await (await opened).text();
      const lines = text.split('\n').filter((line) => line.startsWith('data: '));
      return lines.map((line) => line.slice(6)).join('\n');
    },
    'POST :invoke': async () => {
      const result = apis.world.events.get(ID)?.result ?? Buffer.alloc(0);
      apis.world.invokeAnswer = InvokeResponse.create({ ended: { statusCode: 200, result } });
      return (await call(`${apis.url}${FUNCTION}:invoke`, 'POST', '1')).text;
    },
  };
  for (const [name, read] of Object.entries(views)) {
    it(`is shown by ${name} as it is`, async () => {
      await fc.assert(
        fc.asyncProperty(hostileJson(), async (json) => {
          event(json);
          const [shown, times] = [compact(await read()), name === 'POST :invoke' ? 1 : 2];
          assert.ok(shown.split(compact(json)).length > times, shown.slice(0, 400));
        }),
        { numRuns: 30 },
      );
    });

    it(`is shown by ${name} as a string where it is no JSON`, async () => {
      for (const text of ['<html>\n"x"</html>', '{"cut": "in the mid', '\ufeff{}', '1 2', 'NaN', 'a\r\nb\rc']) {
        event(text);
        const shown = await read();
        assert.doesNotThrow(() => void JSON.parse(shown), shown);
        assert.ok(shown.includes(JSON.stringify(text)), shown);
      }
    });
  }

  const batch = (body: string | Buffer) => call(`${apis.url}${FUNCTION}/events:batchCreate`, 'POST', body);
  it('of a batch is measured as it was sent', async () => {
    const [numbers, blanks] = [`[${'1e21,'.repeat(26_000)}1]`, `[${' '.repeat(160_000)}1]`];
    assert.equal((await batch(`{"events":[{"payload":${numbers}}]}`)).status, 202);
    const refused = await batch(`{"events":[{"payload":1},{"payload":${blanks}}]}`);
    assert.equal(refused.status, 413);
    assert.match(refused.text, /"size_bytes":"160003".*"index":"1"/);
  });

  const faults: readonly (readonly [string, string | Buffer, RegExp])[] = [
    ['nothing', '', /INVALID_JSON/],
    ['half a document', '{"events":[{"payload":1}', /INVALID_JSON.*end of JSON/],
    ['more than a document', '{"events":[{"payload":1}]} 1', /INVALID_JSON/],
    ['a payload that is not JSON', '{"events":[{"payload":01}]}', /INVALID_JSON/],
    ['another encoding', Buffer.from('{"events":[{"payload":"\xe9"}]}', 'latin1'), /INVALID_JSON.*UTF-8/],
    ['a list', '[]', /"field":"events"/],
    ['no events', '{}', /"field":"events"/],
    ['events twice', '{"events":[],"events":[]}', /"field":"events"/],
    ['another field', '{"events":[],"x":1}', /"field":"events"/],
    ['an event that is none', '{"events":[1]}', /events\[0\]/],
    ['an unknown field', '{"events":[{},{"paylod":1}]}', /events\[1\]\.paylod/],
    ['a payload twice', '{"events":[{"payload":1,"payload":2}]}', /events\[0\]\.payload.*at most once/],
    ['a payload twice, spelt otherwise', '{"events":[{"payload":1,"\\u0070ayload":2}]}', /events\[0\]\.payload.*at most once/],
    ['a key that is a number', '{"events":[{"idempotency_key":1}]}', /events\[0\]\.idempotency_key/],
    ['a delay that is none', '{"events":[{"delay":"soon"}]}', /events\[0\]\.delay/],
    ['1,001 events', `{"events":[${'{},'.repeat(1_000)}{}]}`, /1 to 1000 events/],
  ];
  for (const [name, body, said] of faults) {
    it(`of a batch is refused: ${name}`, async () => {
      const answer = await batch(body);
      assert.equal(answer.status, 400, answer.text);
      assert.match(answer.text, said);
    });
  }
});
