import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { afterEach, describe, it } from 'node:test';
import type { EventPolicy } from '@evenfall/contracts/log/v1/record';
import { type Delivery, Delivery_State as DeliveryState, Event_State as State } from '@evenfall/contracts/v1/event';
import { Destination, FunctionMessage } from '@evenfall/contracts/v1/function';
import { Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import { MessageRefused, type TopicMessage } from '@evenfall/event-log/kafka';
import { eventually } from '@evenfall/testkit';
import { fakeClock, uuidOfName } from '@evenfall/time';
import { type ResultName, endedAs } from '../../../libs/event-model/src/testing/life.ts';
import { memoryLog } from '../../../libs/event-log/src/testing/memory-log.ts';
import type { WebhookAnswer, WebhookRequest } from './domain/webhook.ts';
import type { WebhookSender } from './ports.ts';
import { type AcceptOptions, type Rig, type RigOptions, startRig, waitingByKey } from './testing/rig.ts';

const rigs: Rig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.stop();
});
const start = (options: RigOptions = {}): Rig => {
  const rig = startRig(options);
  rigs.push(rig);
  return rig;
};

const SECRET = 'a secret of enough characters';
const webhook = (url = 'http://127.0.0.1:9/hook'): Destination => ({
  target: { $case: 'webhook', value: { url, secret: SECRET, secretSet: false } },
});
const fnNamed = (name: string): Destination => ({
  target: { $case: 'function', value: { namespace: 'default', name, qualifier: '$LATEST' } },
});
const topic = (name: string): Destination => ({ target: { $case: 'topic', value: { name } } });
const HOUR_MS = 3_600_000;

/** A webhook that answers what the test says, one answer after the other and the last for ever. */
function played(...answers: readonly (number | Partial<WebhookAnswer> | Error)[]) {
  const requests: WebhookRequest[] = [];
  let most = 0;
  let now = 0;
  const sender: WebhookSender = {
    async send(request) {
      const answer = answers[Math.min(requests.length, answers.length - 1)] ?? 200;
      requests.push(request);
      most = Math.max(most, ++now);
      await new Promise((resolve) => setImmediate(resolve));
      now--;
      if (answer instanceof Error) throw answer;
      const given = typeof answer === 'number' ? { status: answer } : answer;
      return { kind: 'ANSWERED', status: 200, retryAfter: undefined, text: '', ...given } as WebhookAnswer;
    },
  };
  return { requests, sender, most: () => most };
}

async function run(rig: Rig, policy: Partial<EventPolicy>, ending: ResultName = 'returned', more: AcceptOptions = {}): Promise<string> {
  const id = await rig.accept({ ...more, policy });
  const { eventId, attempt, partition } = await eventually(() => rig.sent.assignments.find((one) => one.eventId === id));
  rig.report({ eventId, attempt, partition, report: { $case: 'ended', value: endedAs(ending, Date.now()) } });
  return id;
}
const deliveryOf = (rig: Rig, id: string): Delivery | undefined => rig.event(id)?.deliveries[0];
const becomes = (rig: Rig, id: string, state: DeliveryState): Promise<Delivery> =>
  eventually(() => {
    const delivery = deliveryOf(rig, id);
    return delivery?.state === state && delivery;
  });
const recordsOf = (rig: Rig, id: string): string[] => rig.changes(id).filter((change) => change === 'deliveryAttempted');

describe('a destination', () => {
  it('receives a success or a failure as the function was set up, and no termination', async () => {
    const { requests, sender } = played(200);
    const rig = start({ webhooks: sender });
    const policy = { onSuccess: webhook('http://127.0.0.1:9/good'), onFailure: webhook('http://127.0.0.1:9/bad') };
    const [good, bad, gone] = [await run(rig, policy), await run(rig, policy, 'threw'), await rig.accept({ policy, delayMs: HOUR_MS })];
    await becomes(rig, good, DeliveryState.DELIVERED);
    await becomes(rig, bad, DeliveryState.DELIVERED);
    await rig.terminate(gone, { mode: Mode.FORCE });
    assert.equal(rig.event(gone)?.state, State.TERMINATED);
    assert.deepEqual(rig.event(gone)?.deliveries, []);
    const received = requests.map(({ url, headers }) => [headers['evenfall-event-id'], url.slice(-4)]);
    assert.deepEqual(new Map(received as [string, string][]), new Map([[good, 'good'], [bad, '/bad']])); // prettier-ignore
  });

  it('does not receive an end before it is committed', async () => {
    const { requests, sender } = played(200);
    const log = memoryLog();
    const rig = start({ log, webhooks: sender });
    const id = await rig.accept({ policy: { onSuccess: webhook() } });
    const { attempt, partition } = await eventually(() => rig.sent.assignments.find((one) => one.eventId === id));
    log.failNext(3);
    rig.report({ eventId: id, attempt, partition, report: { $case: 'ended', value: endedAs('returned', Date.now()) } });
    await eventually(() => requests.length > 0);
    assert.equal(rig.event(id)?.state, State.SUCCEEDED);
  });

  it('gets the event as it ended and its payload, signed', async () => {
    const { requests, sender } = played(200);
    const rig = start({ webhooks: sender });
    const id = await run(rig, { onSuccess: webhook() });
    await becomes(rig, id, DeliveryState.DELIVERED);
    const [request] = requests;
    assert.ok(request);
    const body = request.body.toString();
    const document = JSON.parse(body) as { event: Record<string, unknown>; payload: unknown };
    assert.deepEqual(
      [document.event['id'], document.event['state'], document.event['result'], document.payload],
      [id, 'SUCCEEDED', 'END', {}],
    );
    assert.deepEqual([document.event['error'], document.event['attempt_count'], document.event['status_code']], [null, 1, 200]);
    const timestamp = request.headers['evenfall-timestamp'] ?? '';
    const signature = createHmac('sha256', SECRET).update(`${timestamp}.${body}`).digest('hex');
    assert.equal(request.headers['evenfall-signature'], `v1=${signature}`);
    assert.equal(request.headers['evenfall-delivery-attempt'], '1');
  });

  it('is tried again with a growing pause, and shows so', async () => {
    const clock = fakeClock(Date.now());
    const { requests, sender } = played(new Error('connect ECONNREFUSED'), 503, { status: 429, retryAfter: '60' }, 200);
    const rig = start({ webhooks: sender, clock });
    const id = await run(rig, { onSuccess: webhook() });
    await eventually(() => deliveryOf(rig, id)?.attemptCount === 1);
    assert.deepEqual([deliveryOf(rig, id)?.state, deliveryOf(rig, id)?.lastError], [DeliveryState.PENDING, 'connect ECONNREFUSED']);
    clock.advance(1_000);
    await eventually(() => deliveryOf(rig, id)?.attemptCount === 2);
    assert.equal(deliveryOf(rig, id)?.lastError, 'It answered 503');
    clock.advance(2_000);
    await eventually(() => requests.length === 3);
    // The pause counts from the moment its answer was received, which does not show here.
    await eventually(() => {
      clock.advance(5_000);
      return requests.length === 4;
    });
    const delivered = await becomes(rig, id, DeliveryState.DELIVERED);
    assert.deepEqual([delivered.attemptCount, recordsOf(rig, id).length], [4, 3], 'the third attempt is worth no record');
    assert.deepEqual(requests.map(({ headers }) => headers['evenfall-delivery-attempt']), ['1', '2', '3', '4']); // prettier-ignore
  });

  it('is given up at once after a permanent failure, and after six hours of others', async () => {
    const clock = fakeClock(Date.now());
    const refusing = start({ webhooks: played({ status: 410, text: 'no such hook' }).sender });
    const one = await run(refusing, { onSuccess: webhook() });
    assert.equal((await becomes(refusing, one, DeliveryState.FAILED)).lastError, 'It answered 410: no such hook');
    const blocked = start({ webhooks: played({ kind: 'BLOCKED', why: 'it is private' }).sender });
    const two = await run(blocked, { onSuccess: webhook() });
    assert.equal((await becomes(blocked, two, DeliveryState.FAILED)).lastError, 'it is private');
    const failing = played(500);
    const rig = start({ webhooks: failing.sender, clock });
    const three = await run(rig, { onSuccess: webhook() });
    await eventually(() => deliveryOf(rig, three)?.attemptCount === 1);
    clock.advance(6 * HOUR_MS);
    const failed = await becomes(rig, three, DeliveryState.FAILED);
    assert.deepEqual([failed.attemptCount, failed.lastError], [2, 'It answered 500']);
  });

  it('that is a function gets an event of its own, once, however often it is delivered', async () => {
    const log = memoryLog();
    const rig = start({ log });
    const id = await run(rig, { onSuccess: fnNamed('audit') }, 'returned', { accessKeyId: 'app' });
    const { eventId } = await becomes(rig, id, DeliveryState.DELIVERED);
    assert.equal(eventId, uuidOfName('default', 'audit', 'destination', id));
    const made = rig.event(eventId);
    assert.deepEqual([made?.function, made?.trigger, made?.originEventId], ['audit', 'destination', id]);
    assert.deepEqual(await waitingByKey(rig), { app: 1 }, 'it counts for the key of the event that it is made of');
    const assignment = await eventually(() => rig.sent.assignments.find((sent) => sent.eventId === eventId));
    assert.equal((JSON.parse(assignment.payload.toString()) as { event: { id: string } }).event.id, id);
  });

  it('that is a function receives nothing of events that come from too far', async () => {
    const rig = start();
    const near = await run(rig, { onSuccess: fnNamed('audit') }, 'returned', { depth: 2 });
    const far = await run(rig, { onSuccess: fnNamed('audit') }, 'returned', { depth: 3 });
    await becomes(rig, near, DeliveryState.DELIVERED);
    assert.match((await becomes(rig, far, DeliveryState.FAILED)).lastError, /^DESTINATION_TOO_DEEP: /);
  });

  it('that is a function is given up if there is none, and waited for if it has no code yet', async () => {
    const rig = start({ functions: { empty: FunctionMessage.create({ name: 'empty' }) } });
    const none = await run(rig, { onFailure: fnNamed('unknown') }, 'threw');
    const empty = await run(rig, { onFailure: fnNamed('empty') }, 'threw');
    assert.match((await becomes(rig, none, DeliveryState.FAILED)).lastError, /^FUNCTION_NOT_FOUND: /);
    const pending = await eventually(() => (deliveryOf(rig, empty)?.attemptCount ?? 0) > 0 && deliveryOf(rig, empty));
    assert.match(pending.lastError, /^FUNCTION_HAS_NO_CODE: /);
  });

  it('that is a topic gets a message by the event’s id, and is given up without Kafka, or if Kafka refuses it for good', async () => {
    const messages: TopicMessage[] = [];
    const rig = start({
      topics: {
        async send(message) {
          if (message.topic === 'never') throw new MessageRefused('too large');
          messages.push(message);
        },
        close: async () => undefined,
      },
    });
    const id = await run(rig, { onSuccess: topic('orders') });
    await becomes(rig, id, DeliveryState.DELIVERED);
    assert.deepEqual(messages.map(({ topic: name, key }) => [name, key]), [['orders', id]]); // prettier-ignore
    const never = await run(rig, { onSuccess: topic('never') });
    assert.equal((await becomes(rig, never, DeliveryState.FAILED)).lastError, 'too large');
    const without = start();
    const lost = await run(without, { onSuccess: topic('orders') });
    assert.equal((await becomes(without, lost, DeliveryState.FAILED)).lastError, 'This platform has no Kafka');
  });

  it('receives it from the next owner of the partition, which goes on counting', async () => {
    const log = memoryLog();
    const first = start({ log, webhooks: played(500).sender });
    const id = await run(first, { onSuccess: webhook() });
    await eventually(() => (deliveryOf(first, id)?.attemptCount ?? 0) >= 1);
    const { requests, sender } = played(200);
    const second = start({ log, webhooks: sender });
    const { attemptCount } = await becomes(second, id, DeliveryState.DELIVERED);
    assert.ok(attemptCount > 1, String(attemptCount));
    assert.equal(requests.length, 1);
    const third = start({ log, webhooks: sender });
    const other = await run(third, {});
    await eventually(() => third.event(other)?.state === State.SUCCEEDED);
    assert.equal(requests.length, 1, 'it is delivered, and not delivered again');
  });

  it('that is slow has 32 attempts at once, and what does not fit into memory is fetched back', async () => {
    const log = memoryLog();
    const payloadBytes = 1024 * 1024; // eight of them fill what one destination may keep
    const first = start({ log, webhooks: played(new Error('away')).sender, clock: fakeClock(Date.now()) });
    const ids: string[] = [];
    for (let i = 0; i < 40; i++) ids.push(await run(first, { onSuccess: webhook() }, 'returned', { payloadBytes }));
    await eventually(() => ids.every((id) => first.event(id)?.state === State.SUCCEEDED), 20_000);
    const { requests, sender, most } = played(200);
    const second = start({ log, webhooks: sender });
    await eventually(() => ids.every((id) => deliveryOf(second, id)?.state === DeliveryState.DELIVERED), 20_000);
    assert.equal(requests.length, 40, 'each once');
    assert.ok(most() <= 32, String(most()));
  });
});
