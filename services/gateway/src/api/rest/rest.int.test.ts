import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { Event } from '@evenfall/contracts/v1/event';
import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { uuidOfName } from '@evenfall/time';
import { call, openApis } from '../../testing/harness.ts';

const FUNCTIONS = '/v1/namespaces/default/functions';
const ID = '01990000-0000-7000-8000-000000000001';

describe('the REST API', () => {
  const apis = openApis();

  it('creates a function and shows it in snake_case with durations as text', async () => {
    const body = {
      name: 'fresh',
      runtime: 'nodejs',
      handler: 'index.main',
      timeout: '5s',
      memory_mb: 128,
      environment: { MODE: 'x' },
      termination: { kill_signal: 'SIGINT', grace_period: '2.5s', escalation: [{ signal: 'SIGTERM', wait: '1s' }] },
      event_invoke: { max_retries: 0, retry_interval: '60s' },
      code_zip: Buffer.from('zip').toString('base64'),
    };
    const answer = await call(`${apis.url}${FUNCTIONS}`, 'POST', body);
    assert.equal(answer.status, 201, answer.text);
    assert.equal(answer.headers.get('location'), `${FUNCTIONS}/fresh`);
    const fn = answer.json as Record<string, unknown>;
    assert.equal(fn['timeout'], '5s');
    assert.deepEqual(fn['event_invoke'], { max_retries: 0, retry_interval: '60s' });
    assert.deepEqual((fn['termination'] as Record<string, unknown>)['grace_period'], '2.5s');
    assert.equal(apis.world.codes.at(-1)?.toString(), 'zip');
    assert.equal((await call(`${apis.url}${FUNCTIONS}/fresh`, 'GET')).status, 200);
    assert.equal((await call(`${apis.url}${FUNCTIONS}/fresh`, 'DELETE')).status, 204);
    assert.equal((await call(`${apis.url}${FUNCTIONS}/fresh`, 'GET')).status, 404);
  });

  it('accepts an event: the body is the payload, to the byte', async () => {
    const payload = '{ "n": 1.0, "big": 12345678901234567890 }';
    const answer = await call(`${apis.url}${FUNCTIONS}/killer/events`, 'POST', payload, {
      traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
    });
    assert.equal(answer.status, 202, answer.text);
    const event = answer.json as Record<string, unknown>;
    assert.equal(answer.headers.get('location'), `/v1/events/${String(event['id'])}`);
    assert.equal(event['state'], 'QUEUED');
    assert.equal(event['trigger'], 'api');
    assert.match(String(event['create_time']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const accepted = apis.world.accepted[0]?.accepted;
    assert.equal(accepted?.payload.toString(), payload);
    assert.equal(accepted?.revision, 3);
    assert.ok(accepted?.traceparent.startsWith('00-aaaa'));
    const { onSuccess, onFailure, ...policy } = accepted?.policy ?? {};
    assert.deepEqual(policy, { maxRetries: 2, retryIntervalMs: 60_000, maxEventAgeMs: 21_600_000, maxGracePeriodMs: 600_000 });
    assert.deepEqual([onSuccess, onFailure], [undefined, undefined]);
  });

  it('takes no body for null, and a key, a qualifier and a delay from the headers', async () => {
    const headers = { 'idempotency-key': 'k1', 'evenfall-qualifier': '7', 'evenfall-delay': '30s' };
    const answer = await call(`${apis.url}${FUNCTIONS}/killer/events`, 'POST', undefined, headers);
    assert.equal(answer.status, 202, answer.text);
    const created = apis.world.accepted[0];
    assert.equal(created?.eventId, uuidOfName('default', 'killer', 'k1'));
    assert.deepEqual(created?.delay, { seconds: 30n, nanos: 0 });
    assert.equal(created?.accepted?.payload.toString(), 'null');
    assert.equal(created?.accepted?.qualifier, '7');
    assert.equal(created?.accepted?.keyed, true);
    assert.notEqual((answer.json as Record<string, unknown>)['next_attempt_time'], null);
  });

  it('accepts a batch in order, a key that comes twice once', async () => {
    const x = { payload: [1], idempotency_key: 'x' };
    const events = [{ payload: { a: 1 } }, x, x, { ...x, payload: null }, { ...x, delay: '1s' }, {}];
    const answer = await call(`${apis.url}${FUNCTIONS}/killer/events:batchCreate`, 'POST', { events });
    assert.equal(answer.status, 202, answer.text);
    const answers = (answer.json as { events: { id?: string; error?: { code: number; details: { reason: string }[] } }[] }).events;
    assert.equal(answers.length, 6);
    assert.equal(answers[1]?.id, answers[2]?.id);
    for (const one of [answers[3], answers[4]])
      assert.deepEqual([one?.id, one?.error?.code, one?.error?.details[0]?.reason], [undefined, 409, 'IDEMPOTENCY_KEY_REUSED']);
    assert.deepEqual(
      apis.world.accepted.map(({ accepted }) => accepted?.payload.toString()),
      ['{"a":1}', '[1]', 'null'],
    );
  });

  it('takes a thousand events at once', async () => {
    const events = Array.from({ length: 1_000 }, (_, i) => ({ payload: { i } }));
    const answer = await call(`${apis.url}${FUNCTIONS}/killer/events:batchCreate`, 'POST', { events });
    assert.equal(answer.status, 202);
    assert.equal(apis.world.accepted.length, 1_000);
  });

  it('gets, lists and terminates events, results untouched', async () => {
    apis.world.events.set(
      ID,
      Event.create({
        id: ID,
        namespace: 'default',
        function: 'killer',
        state: 6,
        statusCode: 200,
        result: Buffer.from('{"n": 1.0}'),
        startTime: new Date(1),
        attempts: [{ number: 1, outcome: 1, statusCode: 200, memoryBytes: 9n }],
        termination: { cause: 1, mode: 2, outcome: 1, steps: [{ signal: 15, disposition: 1, delivery: 1 }] },
      }),
    );
    const got = await call(`${apis.url}/v1/events/${ID.toUpperCase()}`, 'GET');
    assert.equal(got.status, 200, got.text);
    assert.ok(got.text.includes('"result":{"n": 1.0}'));
    const event = got.json as Record<string, Record<string, unknown>>;
    assert.equal(event['state'], 'TERMINATED');
    assert.deepEqual(event['termination']?.['steps'], [
      { signal: 'SIGTERM', sent_time: new Date(0).toISOString(), disposition: 'CAUGHT', delivery: 'DELIVERED', reception: null },
    ]);

    const listed = await call(
      `${apis.url}${FUNCTIONS}/killer/events?state=RUNNING&state=QUEUED&page_size=500&order_by=end_time&order=asc&start_time_after=2026-01-01T00:00:00Z`,
      'GET',
    );
    assert.equal(listed.status, 200, listed.text);
    assert.equal((listed.json as Record<string, unknown>)['next_page_token'], 'next');
    const request = apis.world.lists.at(-1) as Record<string, unknown>;
    assert.deepEqual(request['states'], [2, 1]);
    assert.equal(request['pageSize'], 100);
    assert.equal(request['orderBy'], 2);

    const ended = await call(`${apis.url}/v1/events/${ID}:terminate`, 'POST', {
      graceful: true,
      kill_signal: 'SIGUSR1',
      grace_period: '3s',
      reason: 'enough',
      wait: 'ended',
    });
    assert.equal(ended.status, 200, ended.text);
    const asked = apis.world.terminations.at(-1);
    assert.deepEqual(
      { ...asked, policy: undefined, audit: undefined },
      { eventId: ID, mode: 2, policy: undefined, requester: 'test', reason: 'enough', wait: 2, onlyIfHeld: false, audit: undefined },
    );
    assert.equal(asked?.policy?.killSignal, 10);
    const forced = await call(`${apis.url}/v1/events/${ID}:terminate`, 'POST');
    assert.equal(forced.status, 200, forced.text);
    assert.equal(apis.world.terminations.at(-1)?.mode, 1);
  });

  it('invokes, and distinguishes a failure from a refusal', async () => {
    const answer = await call(`${apis.url}${FUNCTIONS}/killer:invoke`, 'POST', { a: 1 });
    assert.equal(answer.status, 200, answer.text);
    assert.ok(answer.text.includes('"status_code":200,"result":{"n": 1.0},"log_tail":"END"'));
    assert.equal((answer.json as Record<string, unknown>)['billed_duration_ms'], 2);
    assert.equal(apis.world.invocations.at(-1)?.assignment?.synchronous, true);
  });

  it('patches what is named and nothing else; null goes back to the default', async () => {
    const answer = await call(`${apis.url}${FUNCTIONS}/killer`, 'PATCH', { timeout: '9s', initializer: null });
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual((apis.world.updates.at(-1) as Record<string, unknown>)['updateMask'], ['timeout', 'initializer']);
    const config = await call(`${apis.url}${FUNCTIONS}/killer/event-invoke-config`, 'PUT', { max_retries: 1 });
    assert.equal(config.status, 200, config.text);
    assert.deepEqual((apis.world.updates.at(-1) as Record<string, unknown>)['updateMask'], ['event_invoke']);
  });

  it('patches fields of what is named, and never their neighbours', async () => {
    const patched = async (body: object) => {
      const answer = await call(`${apis.url}${FUNCTIONS}/killer`, 'PATCH', body);
      assert.equal(answer.status, 200, answer.text);
      return apis.world.updates.at(-1) as { updateMask: string[]; function: FunctionMessage };
    };
    const deep = await patched({
      event_invoke: { max_retries: 1, on_success: null, on_failure: { webhook: { secret: 'x'.repeat(16), secret_set: true } } },
      termination: { grace_period: '9s', escalation: [] },
      termination_by_cause: { drain: { kill_signal: 'SIGINT' }, update: null },
      pre_stop: { timeout: '5s' },
      environment: { A: '1' },
    });
    assert.deepEqual(deep.updateMask.toSorted(), [
      'environment',
      'event_invoke.max_retries',
      'event_invoke.on_failure.webhook.secret',
      'event_invoke.on_success',
      'pre_stop.timeout',
      'termination.escalation',
      'termination.grace_period',
      'termination_by_cause.drain.kill_signal',
      'termination_by_cause.update',
    ]);
    const { eventInvoke } = deep.function;
    assert.equal(eventInvoke?.onSuccess, undefined);
    assert.deepEqual(eventInvoke?.onFailure?.target, {
      $case: 'webhook',
      value: { url: '', secret: 'x'.repeat(16), secretSet: false, sealedSecret: undefined },
    });
    const before = apis.world.updates.length;
    for (const nothing of [{}, { termination: {} }, { termination_by_cause: { drain: {} } }]) {
      assert.equal((await call(`${apis.url}${FUNCTIONS}/killer`, 'PATCH', nothing)).status, 200);
    }
    assert.equal(apis.world.updates.length, before, 'a patch that names nothing changes nothing');
    for (const [field, body] of [
      ['nonsense', { nonsense: null }],
      ['termination.nonsense', { termination: { nonsense: null } }],
      ['event_invoke.on_failure', { event_invoke: { on_failure: {} } }],
      ['event_invoke.on_failure.topic', { event_invoke: { on_failure: { topic: null } } }],
      ['event_invoke.on_failure.webhook.secret', { event_invoke: { on_failure: { webhook: { secret: null } } } }],
      ['__proto__', '{"__proto__": null}'],
    ] as const) {
      const refused = await call(`${apis.url}${FUNCTIONS}/killer`, 'PATCH', body);
      assert.equal(refused.status, 400, refused.text);
      assert.ok(refused.text.includes(`"field":"${field}"`), refused.text);
    }
  });

  it('lists by the default qualifier the events of its version', async () => {
    for (const [asked, meant] of [
      ['$DEFAULT', '$LATEST'],
      ['$LATEST', '$LATEST'],
      ['7', '7'],
      ['', ''],
    ] as const) {
      await call(`${apis.url}${FUNCTIONS}/killer/events?qualifier=${encodeURIComponent(asked)}`, 'GET');
      assert.equal((apis.world.lists.at(-1) as { qualifier: string }).qualifier, meant);
    }
  });

  it('answers a redrive again with the event that was made of it', async () => {
    const old = Event.create({ id: ID, namespace: 'default', function: 'killer', qualifier: '$LATEST', state: 5 });
    apis.world.events.clear();
    apis.world.events.set(ID, old);
    apis.world.deadLetters.set(ID, { event: old, payload: Buffer.from('1') });
    const path = `${apis.url}/v1/dead-letters/${ID}:redrive`;
    const first = await call(path, 'POST');
    assert.equal(first.status, 202, first.text);
    const { id } = first.json as { id: string };
    apis.world.deadLetters.clear();
    apis.world.events.delete(id);
    const tooSoon = await call(path, 'POST');
    assert.equal(tooSoon.status, 404, 'an event that is not visible yet is not invented');
    apis.world.events.set(id, Event.create({ id, redrivenFrom: ID, state: 4 }));
    const again = await call(path, 'POST');
    assert.deepEqual([again.status, (again.json as { id: string }).id, again.headers.get('location')], [202, id, `/v1/events/${id}`]);
    assert.equal((again.json as { state: string }).state, 'SUCCEEDED');
    assert.equal((await call(`${apis.url}/v1/dead-letters/${id}:redrive`, 'POST')).status, 404, 'it was no dead letter');
  });

  it('has a worker host drained', async () => {
    const drained = await call(`${apis.url}/v1/agents/a1:drain`, 'POST', { deadline: '90s' });
    assert.equal(drained.status, 200);
    const agent = drained.json as { id: string; state: string; drain_deadline_time: string };
    assert.deepEqual([agent.id, agent.state, agent.drain_deadline_time], ['a1', 'DRAINING', '1970-01-01T00:00:00.000Z']);
    assert.deepEqual(apis.world.drains, [{ agentId: 'a1', deadline: { seconds: 90n, nanos: 0 } }]);
    assert.equal((await call(`${apis.url}/v1/agents/a1:drain`, 'POST')).status, 200);
    assert.equal(apis.world.drains[1]?.deadline, undefined, 'left to the agent');
    assert.equal((await call(`${apis.url}/v1/agents/a1:drain`, 'POST', { deadline: '25h' })).status, 400);
    assert.equal((await call(`${apis.url}/v1/agents/unknown:drain`, 'POST', {})).status, 404);
    assert.equal(apis.world.drains.length, 2);
  });

  it('takes code as a zip, publishes and lists versions, lists agents and instances', async () => {
    const code = await call(`${apis.url}${FUNCTIONS}/killer/code`, 'PUT', Buffer.from('PK'), { 'content-type': 'application/zip' });
    assert.equal(code.status, 200, code.text);
    assert.equal(apis.world.codes.at(-1)?.toString(), 'PK');
    assert.equal((await call(`${apis.url}${FUNCTIONS}/killer/versions`, 'POST', { description: 'd' })).status, 201);
    assert.equal((await call(`${apis.url}${FUNCTIONS}/killer/versions`, 'GET')).status, 200);
    assert.equal((await call(`${apis.url}${FUNCTIONS}?filter=kil&page_size=5`, 'GET')).status, 200);
    assert.deepEqual(((await call(`${apis.url}/v1/agents`, 'GET')).json as { agents: unknown[] }).agents.length, 1);
    assert.ok((await call(`${apis.url}/v1/instances?agent_id=a9`, 'GET')).text.includes('"state":"IDLE"'));
  });

  it('asks the registry once for a version until it changes', async () => {
    const accept = () => call(`${apis.url}${FUNCTIONS}/killer/events`, 'POST', {}, { 'evenfall-qualifier': '5' });
    const start = apis.world.resolveCount;
    await accept();
    await accept();
    assert.equal(apis.world.resolveCount, start + 1);
    apis.world.functionWatches.at(-1)?.push({ namespace: 'default', name: 'killer' });
    await new Promise((resolve) => setImmediate(resolve));
    await accept();
    assert.equal(apis.world.resolveCount, start + 2);
    apis.world.functionWatches.at(-1)?.end(); // the watch drops: nothing is trusted
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal((await call(`${apis.url}/readyz`, 'GET')).status, 503);
    await accept();
    await accept();
    assert.equal(apis.world.resolveCount, start + 4);
  });

  it('is not ready while accepted events cannot run, says why, and is again afterwards', async () => {
    apis.world.functionWatches.at(-1)?.push({ namespace: 'default', name: 'killer' });
    await eventually(async () => (await call(`${apis.url}/readyz`, 'GET')).status === 200, 10_000);
    apis.world.faults.push('records of partition 3 cannot be written for 12 s');
    await eventually(async () => {
      const { status, json } = await call(`${apis.url}/readyz`, 'GET');
      assert.deepEqual([status, (json as { faults?: unknown }).faults], [503, apis.world.faults]);
      return true;
    }, 10_000);
    apis.world.faults.length = 0;
    await eventually(async () => (await call(`${apis.url}/readyz`, 'GET')).status === 200, 10_000);
  });

  it('describes itself', async () => {
    const document = (await call(`${apis.url}/openapi.json`, 'GET')).json as {
      openapi: string;
      paths: Record<string, unknown>;
      components: { schemas: object };
    };
    assert.equal(document.openapi, '3.1.0');
    assert.ok(document.paths['/v1/events/{event_id}:terminate']);
    assert.ok(document.paths['/v1/namespaces/{namespace}/functions/{function}/events:batchCreate']);
    assert.ok('Event' in document.components.schemas);
    assert.ok(!JSON.stringify(document).includes('"#/components/schemas/def-'));
    const page = await call(`${apis.url}/docs`, 'GET');
    assert.equal(page.status, 200);
    assert.ok(!/https?:\/\/(?!127)/.test(page.text), 'assets are local');
  });
});
