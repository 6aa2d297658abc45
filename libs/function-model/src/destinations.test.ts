import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Destination, EventInvokeConfig } from '@evenfall/contracts/v1/function';
import { type DestinationRules, destinationsRefusal } from './index.ts';

const SECRET = 'a secret of enough characters';
const OPEN: DestinationRules = { kafkaTopic: 'evenfall.events', allowPrivateWebhooks: false };
const fn = (name: string, namespace = '', qualifier = ''): Destination => ({
  target: { $case: 'function', value: { namespace, name, qualifier } },
});
const topic = (name: string): Destination => ({ target: { $case: 'topic', value: { name } } });
const webhook = (url: string, secret = SECRET): Destination => ({ target: { $case: 'webhook', value: { url, secret, secretSet: false } } });

/** What is refused about a destination; empty if nothing is. */
function refusedOf(destination: Destination, rules = OPEN): string {
  const refusal = destinationsRefusal(EventInvokeConfig.fromPartial({ onFailure: destination }), 'default', rules);
  return refusal ? `${refusal.reason} ${refusal.metadata['field']}` : '';
}

describe('A destination', () => {
  it('is a function by the rules of names, whether there is one or not', () => {
    for (const good of [fn('audit'), fn('audit', 'other', '$LATEST'), fn('audit', '', '12')]) assert.equal(refusedOf(good), '');
    assert.equal(refusedOf(fn('a')), 'INVALID_NAME function');
    assert.equal(refusedOf(fn('audit', '1')), 'INVALID_NAME namespace');
    assert.equal(refusedOf(fn('audit', '', 'prod')), 'INVALID_FIELD event_invoke.on_failure.function');
  });

  it('is a topic where there is Kafka, but for those that are Kafka’s and the event log’s own', () => {
    assert.equal(refusedOf(topic('orders.done')), '');
    for (const bad of ['', '.', '..', '__consumer_offsets', 'a b', 'x'.repeat(250), 'evenfall.events'])
      assert.match(refusedOf(topic(bad)), /^INVALID_FIELD .*topic$/, bad);
    assert.match(refusedOf(topic('orders'), { ...OPEN, kafkaTopic: undefined }), /topic$/);
  });

  it('is a webhook over TLS, with a secret', () => {
    assert.equal(refusedOf(webhook('https://example.com:8443/hook?x=1')), '');
    for (const bad of ['', 'example.com', 'http://example.com/', 'http://127.0.0.1/', 'file:///etc/passwd', 'https://a:b@example.com/'])
      assert.match(refusedOf(webhook(bad)), /url$/, bad);
    assert.match(refusedOf(webhook(`https://example.com/${'x'.repeat(2_048)}`)), /url$/);
    for (const bad of ['', 'x'.repeat(15), 'x'.repeat(257), `${SECRET}é`])
      assert.match(refusedOf(webhook('https://example.com/', bad)), /secret$/);
    const allowing = { ...OPEN, allowPrivateWebhooks: true };
    for (const good of ['http://127.0.0.1:8080/', 'http://localhost/', 'http://[::1]/'])
      assert.equal(refusedOf(webhook(good), allowing), '');
    assert.match(refusedOf(webhook('http://10.0.0.1/'), allowing), /url$/, 'plain HTTP stays on this machine');
  });
});
