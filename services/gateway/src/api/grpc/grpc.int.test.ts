import assert from 'node:assert/strict';
import { describe, it, before, after } from 'node:test';
import { Event } from '@evenfall/contracts/v1/event';
import { CreateEventRequest, EventServiceService, ListEventsRequest, TerminateEventRequest } from '@evenfall/contracts/v1/event_service';
import { CreateFunctionRequest, FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { InvocationServiceService, InvokeFunctionRequest } from '@evenfall/contracts/v1/invocation_service';
import { LogServiceService } from '@evenfall/contracts/v1/log_service';
import { OperatorServiceService } from '@evenfall/contracts/v1/operator_service';
import { InvokeResponse } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { type Reason, Refusal } from '@evenfall/errors';
import { grpcClient, type ServiceDefinition } from '@evenfall/rpc';
import { eventually } from '@evenfall/testkit';
import { openApis, WITH_KEY } from '../../testing/harness.ts';

const ID = '01990000-0000-7000-8000-000000000004';

describe('the gRPC API', () => {
  const apis = openApis();
  const open: { close(): void }[] = [];
  const clients = () => {
    const address = `127.0.0.1:${apis.gateway.grpcPort}`;
    const events = grpcClient(EventServiceService, address, { headers: WITH_KEY });
    const functions = grpcClient(FunctionServiceService, address, { headers: WITH_KEY });
    const invocations = grpcClient(InvocationServiceService, address, { headers: WITH_KEY });
    const logs = grpcClient(LogServiceService, address, { headers: WITH_KEY });
    const operators = grpcClient(OperatorServiceService, address, { headers: WITH_KEY });
    open.push(events, functions, invocations, logs, operators);
    return {
      events: events.client,
      functions: functions.client,
      invocations: invocations.client,
      logs: logs.client,
      operators: operators.client,
    };
  };
  let c: ReturnType<typeof clients>;
  before(() => {
    c = clients();
  });
  after(() => open.forEach((client) => client.close()));

  const named = { namespace: 'default', function: 'killer', qualifier: '' };
  const submission = { payload: Buffer.from('{"a":1}'), idempotencyKey: '', delay: undefined };

  it('reserves 0, which is not none, and says what is provisioned and how much of it is there', async () => {
    const of = { namespace: 'default', name: 'killer' };
    const put = await c.functions.putReservedConcurrency({ ...of, memoryMb: 0 });
    assert.deepEqual(put.reservedConcurrency, { memoryMb: 0, totalMb: 128_000, availableMb: 115_200 });
    await c.functions.deleteReservedConcurrency(of);
    assert.equal((await c.functions.getReservedConcurrency(of)).reservedConcurrency?.memoryMb, undefined);
    const { versions } = await c.functions.getProvisionedConcurrency({ ...of, qualifier: '1' });
    assert.deepEqual(
      versions.map(({ instances, availableInstances, state }) => [instances, availableInstances, state]),
      [[2, 1, 2]],
    );
  });

  it('has pages for every list', () => {
    const services: readonly ServiceDefinition[] = [EventServiceService, FunctionServiceService, LogServiceService, OperatorServiceService];
    const lists = services.flatMap((service) => Object.entries(service).filter(([name]) => name.startsWith('list')));
    assert.ok(lists.length >= 8);
    for (const [name, method] of lists) {
      const empty = Buffer.alloc(0);
      const [request, response] = [method.requestDeserialize(empty) as object, method.responseDeserialize(empty) as object];
      assert.deepEqual(['pageSize' in request, 'pageToken' in request, 'nextPageToken' in response], [true, true, true], name);
    }
  });

  describe('answers larger than a client takes', () => {
    const request = InvokeFunctionRequest.create({ ...named, payload: Buffer.from('1') });
    const sizes = [0, 1, 1024 * 1024, 4 * 1024 * 1024 - 4_500, 4 * 1024 * 1024, 6 * 1024 * 1024];
    const answerOf = (bytes: number) => {
      const result = Buffer.from(`"${'r'.repeat(bytes)}"`);
      apis.world.invokeAnswer = InvokeResponse.create({ ended: { statusCode: 200, result, logTail: 'l'.repeat(4_096) } });
      return result;
    };
    const usually = apis.world.invokeAnswer;
    after(() => {
      apis.world.invokeAnswer = usually;
    });
    /** A client as a user's is: it takes what gRPC takes. */
    const usual = () => {
      const opened = grpcClient(InvocationServiceService, `127.0.0.1:${apis.gateway.grpcPort}`, {
        maxMessageBytes: 4 * 1024 * 1024,
        headers: WITH_KEY,
      });
      open.push(opened);
      return opened.client;
    };

    for (const bytes of sizes)
      it(`come in pieces, or are refused with their size: a result of ${bytes} bytes`, async () => {
        const client = usual();
        const result = answerOf(bytes);
        const pieces: Buffer[] = [];
        const heads = [];
        for await (const { part, resultSizeBytes } of client.streamInvokeFunction({ invocation: request })) {
          if (part?.$case === 'resultChunk') pieces.push(part.value);
          else heads.push([part?.value.statusCode, part?.value.result.length, part?.value.logTail.length, resultSizeBytes, pieces.length]);
        }
        assert.deepEqual(heads, [[200, 0, 4_096, BigInt(result.length), 0]]);
        assert.ok(Buffer.concat(pieces).equals(result));

        const ran = apis.world.invocations.length;
        if (result.length < 4 * 1024 * 1024 - 4_224) {
          assert.ok((await client.invokeFunction(request)).result.equals(result));
        } else {
          const error: unknown = await client.invokeFunction(request).catch((failure: unknown) => failure);
          assert.ok(error instanceof Refusal);
          assert.deepEqual([error.status, error.reason, error.retry], ['RESOURCE_EXHAUSTED', 'ANSWER_TOO_LARGE', false]);
          const { function_status_code: code, result_bytes: size, event_id: id } = error.metadata;
          assert.deepEqual([code, size], ['200', String(result.length)]);
          assert.equal(id, apis.world.invocations.at(-1)?.assignment?.eventId);
          assert.match(error.message, /The function ran.*StreamInvokeFunction.*max_answer_bytes/);
          const whole = await c.invocations.invokeFunction({ ...request, maxAnswerBytes: 8_388_608 });
          assert.ok(whole.result.equals(result));
        }
        assert.ok(apis.world.invocations.length > ran);
      });

    it('are not asked for by sizes that cannot be: the function does not run', async () => {
      const ran = apis.world.invocations.length;
      for (const maxAnswerBytes of [-1, 67_108_865])
        await assert.rejects(c.invocations.invokeFunction({ ...request, maxAnswerBytes }), /max_answer_bytes/);
      assert.equal(apis.world.invocations.length, ran);
    });
  });

  it('accepts one, a batch and a stream', async () => {
    const { event } = await c.events.createEvent(
      { ...named, submission },
      { headers: { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` } },
    );
    assert.equal(event?.state, 1);
    assert.equal(apis.world.accepted[0]?.accepted?.traceparent.length, 55);
    const batch = { ...named, submissions: [submission, submission] };
    assert.equal((await c.events.batchCreateEvents(batch)).eventIds.length, 2);
    async function* batches() {
      for (let i = 0; i < 20; i++) yield { batch };
    }
    assert.equal(new Set((await c.events.streamCreateEvents(batches())).eventIds).size, 40);
    assert.equal(apis.world.accepted.length, 43);
  });

  it('gets, lists, watches, terminates, logs, invokes, and shows workers', async () => {
    apis.world.events.set(ID, Event.create({ id: ID, state: 2 }));
    assert.equal((await c.events.getEvent({ id: ID })).event?.state, 2);
    assert.equal((await c.events.listEvents(ListEventsRequest.create({ ...named }))).events.length, 1);
    assert.equal((await c.events.terminateEvent(TerminateEventRequest.create({ id: ID, graceful: true }))).event?.id, ID);
    const seen: number[] = [];
    const watching = (async () => {
      for await (const change of c.events.watchEvent({ id: ID, afterVersion: 0 })) seen.push(change.version);
    })();
    const watch = await eventually(() => apis.world.watches.at(-1));
    watch.out.push({ event: Event.create({ id: ID }), version: 1 });
    watch.out.push({ event: Event.create({ id: ID }), version: 2 });
    watch.out.end();
    await watching;
    assert.deepEqual(seen, [1, 2]);
    assert.equal((await c.logs.listLogLines({ eventId: ID, pageSize: 0, pageToken: '', filter: undefined })).lines.length, 1);
    assert.equal((await c.invocations.invokeFunction(InvokeFunctionRequest.create({ ...named }))).billedDurationMs, 2n);
    assert.equal((await c.operators.listAgents({ pageSize: 0, pageToken: '' })).agents.length, 1);
    assert.equal((await c.operators.listInstances({ agentId: 'x', pageSize: 0, pageToken: '' })).instances[0]?.agentId, 'x');
    assert.equal((await c.functions.getFunction({ namespace: 'default', name: 'killer', qualifier: '' })).function?.name, 'killer');
  });

  const refusals: readonly (readonly [name: string, reason: Reason, ask: () => Promise<unknown>])[] = [
    [
      'a payload that is not JSON',
      'PAYLOAD_NOT_JSON',
      () => c.events.createEvent({ ...named, submission: { ...submission, payload: Buffer.from('{') } }),
    ],
    [
      'a payload that is too large',
      'PAYLOAD_TOO_LARGE',
      () => c.events.createEvent({ ...named, submission: { ...submission, payload: Buffer.alloc(131_073, '1') } }),
    ],
    [
      'an unknown function',
      'FUNCTION_NOT_FOUND',
      () => c.events.createEvent(CreateEventRequest.create({ namespace: 'default', function: 'unknown' })),
    ],
    ['no namespace', 'INVALID_NAME', () => c.events.createEvent(CreateEventRequest.create({ function: 'unknown' }))],
    ['an empty batch', 'INVALID_FIELD', () => c.events.batchCreateEvents({ ...named, submissions: [] })],
    ['an unknown state', 'INVALID_FIELD', () => c.events.listEvents(ListEventsRequest.create({ ...named, states: [77 as 1] }))],
    ['a negative page size', 'INVALID_FIELD', () => c.events.listEvents(ListEventsRequest.create({ ...named, pageSize: -1 }))],
    ['an unknown event', 'EVENT_NOT_FOUND', () => c.events.getEvent({ id: 'x' })],
    [
      'a number that is no signal',
      'INVALID_FIELD',
      () => c.events.terminateEvent(TerminateEventRequest.create({ id: ID, graceful: true, policy: { killSignal: 5 as 15 } })),
    ],
    [
      'SIGKILL in an escalation',
      'INVALID_FIELD',
      () =>
        c.events.terminateEvent(
          TerminateEventRequest.create({ id: ID, graceful: true, policy: { escalation: [{ signal: 9, wait: { seconds: 1n } }] } }),
        ),
    ],
    [
      'a step that waits for nothing',
      'INVALID_FIELD',
      () => c.events.terminateEvent(TerminateEventRequest.create({ id: ID, graceful: true, policy: { escalation: [{ signal: 15 }] } })),
    ],
    [
      "a function's own field",
      'INVALID_FIELD',
      () => c.events.terminateEvent(TerminateEventRequest.create({ id: ID, graceful: true, policy: { maxGracePeriod: { seconds: 1n } } })),
    ],
    ['an unknown wait', 'INVALID_FIELD', () => c.events.terminateEvent(TerminateEventRequest.create({ id: ID, wait: 9 as 1 }))],
    [
      'a function that exists',
      'FUNCTION_EXISTS',
      () => c.functions.createFunction(CreateFunctionRequest.create({ function: { namespace: 'default', name: 'killer' } })),
    ],
    ['a name that cannot be', 'INVALID_NAME', () => c.functions.deleteFunction({ namespace: 'default', name: '-' })],
  ];
  for (const [name, reason, ask] of refusals) {
    it(`refuses ${name}`, async () => {
      await assert.rejects(ask(), { name: 'Refusal', reason });
    });
  }
});
