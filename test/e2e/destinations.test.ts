import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import kafkajs from 'kafkajs';
import { eventually, tempDir } from '@evenfall/testkit';
import { madeTopic, testKafka, type TestKafka } from '@evenfall/testkit/kafka';
import type { ErrorAnswer, EventAnswer } from '../support/rest-client.ts';
import { type Stack, startStack } from '../support/stack.ts';

const ECHO = 'exports.handler = async (event) => { if (event.fail) throw new Error("no"); return event; };\n';
const SECRET = 'a secret of enough characters';
const FUNCTION = { runtime: 'nodejs', handler: 'index.handler', timeout: '5s' };
const ALLOW = { EVENFALL_WEBHOOK_ALLOW_PRIVATE: 'true' };

type DeliveryDocument = { readonly event: Record<string, unknown>; readonly payload: unknown };
type Call = { readonly headers: IncomingHttpHeaders; readonly body: string; readonly seen: DeliveryDocument };

/** An HTTP server on a port of its own, which answers what the test says. */
async function receiver(port = 0) {
  const calls: Call[] = [];
  const answers: number[] = [];
  const server: Server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (part: string) => (body += part));
    request.on('end', () => {
      calls.push({ headers: request.headers, body, seen: JSON.parse(body) as DeliveryDocument });
      response.writeHead(answers.shift() ?? 204).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const address = server.address() as AddressInfo; // it listens on TCP
  return {
    port: address.port,
    url: `http://127.0.0.1:${address.port}/hook?token=hidden`,
    calls,
    answers,
    of: (id: string) => calls.filter(({ seen }) => seen.event['id'] === id),
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
const webhook = (url: string) => ({ webhook: { url, secret: SECRET } });
const delivered = (stack: Stack, id: string, state = 'DELIVERED'): Promise<EventAnswer> =>
  eventually(async () => {
    const event = await stack.rest.get(id);
    return event.deliveries?.[0]?.state === state && event;
  }, 30_000);

describe('destinations', () => {
  let stack: Stack;
  let hook: Awaited<ReturnType<typeof receiver>>;
  before(async () => {
    [stack, hook] = [await startStack({ env: ALLOW }), await receiver()];
  });
  after(async () => {
    await stack.dispose();
    await hook.close();
  });
  const path = (fn: string): string => `/v1/namespaces/default/functions/${fn}`;

  it('that are functions get events, which have destinations themselves, three in a row', async () => {
    await stack.rest.deploy({ ...FUNCTION, name: 'circle', event_invoke: { on_success: { function: 'circle' } } }, { 'index.js': ECHO });
    const given = { n: 1 };
    const first = await stack.rest.send('circle', given);
    const chain: EventAnswer[] = [];
    for (let id = first.id; id !== ''; id = chain.at(-1)?.deliveries?.[0]?.event_id ?? '') {
      const end = chain.length < 3 ? 'DELIVERED' : 'FAILED';
      chain.push(await delivered(stack, id, end));
    }
    assert.equal(chain.length, 4);
    assert.match(chain[3]?.deliveries?.[0]?.last_error ?? '', /^DESTINATION_TOO_DEEP: /);
    assert.deepEqual(chain.map(({ trigger }) => trigger), ['api', 'destination', 'destination', 'destination']); // prettier-ignore
    assert.deepEqual(chain.slice(1).map(({ origin_event_id: origin }) => origin), chain.slice(0, 3).map(({ id }) => id)); // prettier-ignore
    const second = chain[1]?.result as DeliveryDocument; // it returned the document that it received
    assert.deepEqual(
      [second.event['id'], second.event['state'], second.event['result'], second.payload],
      [first.id, 'SUCCEEDED', given, given],
    );
    assert.equal((await stack.rest.list('circle')).length, 4);
  });

  it('receive results and errors at their limits, as valid JSON', async () => {
    // Quotes and backslashes double where a text is quoted, and a character of four bytes is cut nowhere in the middle.
    const code = `exports.handler = async ({ bytes, piece, fail }) => {
      const text = piece.repeat(Math.ceil(bytes / Buffer.byteLength(JSON.stringify(piece).slice(1, -1)))).slice(0, bytes - 2);
      if (fail) throw new Error(text);
      return text;
    };`;
    await stack.rest.deploy(
      { ...FUNCTION, name: 'notified' },
      { 'index.js': 'exports.handler = async (event) => ({ n: JSON.stringify(event).length });' },
    );
    const both = { max_retries: 0, on_success: { function: 'notified' }, on_failure: webhook(hook.url) };
    await stack.rest.deploy({ ...FUNCTION, name: 'large', event_invoke: both }, { 'index.js': code });
    const limit = 256 * 1024;
    for (const bytes of [limit - 1, limit, limit + 1, 6 * 1024 * 1024 - 2])
      for (const piece of ['a', '"', '\\', '\u0001', '😀'])
        for (const fail of [false, true]) {
          const { id } = await stack.rest.send('large', { bytes, piece, fail, more: 'x'.repeat(120_000) });
          const event = await delivered(stack, id);
          const what = JSON.stringify([bytes, piece, fail, event.state]);
          if (event.state === 'FAILED') {
            const [call] = hook.of(id);
            assert.equal((call?.seen.payload as { bytes: number }).bytes, bytes, what);
            assert.ok((call?.body.length ?? 0) < 1_000_000, what);
          } else {
            const made = await stack.rest.ended(event.deliveries?.[0]?.event_id ?? '');
            assert.equal(made.state, 'SUCCEEDED', what);
          }
        }
    assert.equal(await stack.metric('evenfall_queue_deliveries_pending'), 0);
  });

  it('that are webhooks get signed requests, again after a failure, with every number as it was', async () => {
    await stack.rest.deploy(
      { ...FUNCTION, name: 'hooked', event_invoke: { max_retries: 0, on_failure: webhook(hook.url) } },
      { 'index.js': ECHO },
    );
    hook.answers.push(500);
    const answer = await stack.rest.call<EventAnswer>('POST', `${path('hooked')}/events`, '{"fail": true, "n": 12345678901234567890}');
    const { id } = answer.body;
    const event = await delivered(stack, id);
    const { event_id: none, time, ...delivery } = event.deliveries?.[0] ?? { event_id: '', time: '' };
    assert.deepEqual(delivery, {
      kind: 'WEBHOOK',
      target: new URL(hook.url).origin,
      state: 'DELIVERED',
      attempt_count: 2,
      last_error: 'It answered 500',
    });
    assert.ok(time && none === undefined);
    const calls = hook.of(id);
    assert.deepEqual(calls.map(({ headers }) => headers['evenfall-delivery-attempt']), ['1', '2']); // prettier-ignore
    for (const { headers, body, seen } of calls) {
      const timestamp = String(headers['evenfall-timestamp']);
      const signature = createHmac('sha256', SECRET).update(`${timestamp}.${body}`).digest('hex');
      assert.equal(headers['evenfall-signature'], `v1=${signature}`);
      assert.ok(Math.abs(Number(timestamp) - Date.now() / 1_000) < 60);
      assert.equal(headers['evenfall-event-id'], id);
      assert.deepEqual([seen.event['state'], seen.event['status_code'], seen.event['attempt_count']], ['FAILED', 430, 1]);
      assert.match(body, /"payload":\{"fail": true, "n": 12345678901234567890\}\}$/);
    }
    assert.equal(await stack.metric('evenfall_queue_deliveries_pending'), 0);
    const letter = await stack.rest.call<{ event: EventAnswer }>('GET', `/v1/dead-letters/${id}`);
    assert.equal(letter.body.event.deliveries?.[0]?.state, 'DELIVERED', 'the dead letter shows it too');
  });

  it('receive nothing of what succeeds or is terminated, if they receive failures', async () => {
    const good = await stack.rest.send('hooked', {});
    const gone = await stack.rest.send('hooked', {}, { headers: { 'evenfall-delay': '1h' } });
    await stack.rest.terminate(gone.id);
    for (const { id } of [good, gone]) assert.equal((await stack.rest.ended(id)).deliveries, undefined);
    assert.deepEqual([...hook.of(good.id), ...hook.of(gone.id)], []);
  });

  it('are settings whose secrets are never shown again, and which are kept while the URL stays', async () => {
    const shown = { max_retries: 0, on_failure: { webhook: { url: hook.url, secret_set: true } } };
    const config = await stack.rest.call<Record<string, unknown>>('GET', `${path('hooked')}/event-invoke-config`);
    assert.deepEqual(config.body['on_failure'], shown.on_failure);
    const all = await stack.rest.call('GET', '/v1/namespaces/default/functions');
    const published = await stack.rest.call('POST', `${path('hooked')}/versions`, {});
    for (const answer of [config, all, published]) assert.ok(!JSON.stringify(answer.body).includes(SECRET));
    const again = await stack.rest.call('PUT', `${path('hooked')}/event-invoke-config`, config.body);
    assert.equal(again.status, 200, JSON.stringify(again.body));
    const { id } = await stack.rest.send('hooked', { fail: true });
    await delivered(stack, id);
    const [call] = hook.of(id);
    assert.ok(call);
    const { headers, body } = call;
    const timestamp = String(headers['evenfall-timestamp']);
    assert.equal(headers['evenfall-signature'], `v1=${createHmac('sha256', SECRET).update(`${timestamp}.${body}`).digest('hex')}`);
    const elsewhere = { on_failure: { webhook: { url: 'https://example.com/', secret_set: true } } };
    const refused = await stack.rest.call<ErrorAnswer>('PUT', `${path('hooked')}/event-invoke-config`, elsewhere);
    assert.equal(refused.body.error.details[0]?.metadata['field'], 'event_invoke.on_failure.webhook.secret');
  });

  it('that can never be delivered to are refused', async () => {
    const cases: readonly (readonly [object, string])[] = [
      [{ topic: 'orders' }, 'event_invoke.on_success.topic'],
      [{ function: 'audit:nowhere' }, 'event_invoke.on_success.function'],
      [{ function: 'a' }, 'event_invoke.on_success.function'],
      [{ function: 'a/b/c' }, 'event_invoke.on_success.function'],
      [webhook('http://example.com/'), 'event_invoke.on_success.webhook.url'],
      [webhook('https://user:pass@example.com/'), 'event_invoke.on_success.webhook.url'], // secretlint-disable-line
      [webhook('ftp://example.com/'), 'event_invoke.on_success.webhook.url'],
      [{ webhook: { url: 'https://example.com/', secret: 'short' } }, 'event_invoke.on_success.webhook.secret'],
      [{ function: 'audit', topic: 'orders' }, 'event_invoke.on_success'],
      [{}, 'event_invoke.on_success'],
      [{ queue: 'x' }, 'event_invoke.on_success.queue'],
    ];
    for (const [destination, field] of cases) {
      const body = { event_invoke: { on_success: destination } };
      const { status, body: output } = await stack.rest.call<ErrorAnswer>('PATCH', path('hooked'), body);
      assert.equal(status, 400, JSON.stringify(destination));
      assert.ok(output.error.details.some(({ metadata }) => metadata['field'] === field), JSON.stringify(output)); // prettier-ignore
    }
  });
});

describe('a destination that is away when everything is killed', () => {
  it('is delivered after the next start', async () => {
    const dir = tempDir('destinations');
    const away = await receiver();
    await away.close();
    const first = await startStack({ dataDir: dir.path, env: ALLOW });
    let second: Stack | undefined;
    let back: Awaited<ReturnType<typeof receiver>> | undefined;
    try {
      const fn = { ...FUNCTION, name: 'hooked', event_invoke: { on_success: webhook(away.url) } };
      await first.rest.deploy(fn, { 'index.js': ECHO });
      const { id } = await first.rest.send('hooked', { n: 1 });
      const event = await eventually(async () => {
        const now = await first.rest.get(id);
        return (now.deliveries?.[0]?.attempt_count ?? 0) >= 1 && now;
      }, 20_000);
      assert.deepEqual([event.state, event.deliveries?.[0]?.state], ['SUCCEEDED', 'PENDING']);
      await first.kill9();
      back = await receiver(away.port);
      second = await startStack({ dataDir: dir.path, env: ALLOW });
      await delivered(second, id);
      assert.ok(back.of(id).length >= 1);
      assert.deepEqual(back.of(id)[0]?.seen.payload, { n: 1 });
    } finally {
      await (second ?? first).dispose();
      await back?.close();
      dir.remove();
    }
  });
});

describe('a topic', async () => {
  const kafka: TestKafka | undefined = await testKafka();
  let stack: Stack | undefined;
  after(async () => {
    await stack?.dispose();
    await kafka?.stop();
  });

  it('gets a message of every end, by the id of its event', { skip: kafka === undefined }, async () => {
    const { brokers } = kafka ?? { brokers: '' };
    const topic = `orders-done-${Date.now()}`;
    const client = new kafkajs.Kafka({ brokers: [brokers], logLevel: kafkajs.logLevel.NOTHING });
    const admin = client.admin();
    await admin.connect();
    await madeTopic(admin, { topic, numPartitions: 3 });
    await admin.disconnect();
    const env = { EVENFALL_KAFKA_BROKERS: brokers, EVENFALL_KAFKA_TOPIC: `log-${Date.now()}`, EVENFALL_KAFKA_PARTITIONS: '4' };
    stack = await startStack({ env });
    const fn = { ...FUNCTION, name: 'topical', event_invoke: { max_retries: 0, on_success: { topic }, on_failure: { topic } } };
    await stack.rest.deploy(fn, { 'index.js': ECHO });
    const ids = await stack.rest.sendBatch(
      'topical',
      Array.from({ length: 20 }, (_, n) => ({ payload: { n, fail: n % 2 === 0 } })),
    );
    const found = new Map<string, DeliveryDocument>();
    const consumer = client.consumer({ groupId: topic });
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ message }) => void found.set(String(message.key), JSON.parse(String(message.value)) as DeliveryDocument),
    });
    try {
      await eventually(() => ids.every((id) => found.has(id)), 30_000);
    } finally {
      await consumer.disconnect();
    }
    for (const [n, id] of ids.entries()) {
      const seen = found.get(id);
      assert.deepEqual([seen?.event['state'], seen?.payload], [n % 2 === 0 ? 'FAILED' : 'SUCCEEDED', { n, fail: n % 2 === 0 }]);
    }
    await delivered(stack, ids[0] ?? '');
    const refused = await stack.rest.call<ErrorAnswer>('PATCH', '/v1/namespaces/default/functions/topical', {
      event_invoke: { on_success: { topic: env.EVENFALL_KAFKA_TOPIC } },
    });
    assert.equal(refused.body.error.details[0]?.metadata['rule'], 'not the topic of the event log');
  });
});
