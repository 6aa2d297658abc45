import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Destination, FunctionMessage } from '@evenfall/contracts/v1/function';
import fc from 'fast-check';
import { isRefusal, orThrow } from '@evenfall/errors';
import { completeSettings, type FunctionSettings } from '@evenfall/function-model';
import { mergeSettings } from './function-settings.ts';

const webhook = (url: string, secret: string): Destination => ({ target: { $case: 'webhook', value: { url, secret, secretSet: false } } });
const topic: Destination = { target: { $case: 'topic', value: { name: 'orders' } } };
const SECRET = 's'.repeat(16);
const seconds = (n: number) => ({ seconds: BigInt(n), nanos: 0 });
const settings = (fields: Parameters<typeof FunctionMessage.fromPartial>[0]): FunctionSettings =>
  FunctionMessage.fromPartial({ runtime: 'python3', handler: 'index.main', ...fields });
const FULL = orThrow(
  completeSettings(
    settings({
      timeout: seconds(60),
      environment: { A: '1' },
      termination: { killSignal: 2, gracePeriod: seconds(7), maxGracePeriod: seconds(100), signalScope: 2 },
      terminationByCause: { drain: { killSignal: 1, gracePeriod: seconds(3) }, update: { killSignal: 2 } },
      eventInvoke: { maxRetries: 0, retryInterval: seconds(5), onFailure: webhook('https://example.com/x', SECRET), onSuccess: topic },
      initializer: { handler: 'index.init', timeout: seconds(9) },
      preStop: { handler: 'index.stop', timeout: seconds(9) },
    }),
  ),
);
const changed = (wanted: Parameters<typeof settings>[0], ...mask: string[]): FunctionSettings =>
  orThrow(completeSettings(orThrow(mergeSettings(FULL, settings(wanted), mask))));

/** The reason why a mask is refused; empty if it is not. */
function refusedBy(...mask: readonly string[]): string {
  const merged = mergeSettings(FULL, FULL, mask);
  return isRefusal(merged) ? merged.reason : '';
}

describe('an update mask', () => {
  it('leaves the neighbours of a field alone', () => {
    for (const [path, wanted, expected] of [
      ['event_invoke.max_retries', { eventInvoke: { maxRetries: 1 } }, { eventInvoke: { ...FULL.eventInvoke, maxRetries: 1 } }],
      [
        'termination.grace_period',
        { termination: { gracePeriod: seconds(9) } },
        { termination: { ...FULL.termination, gracePeriod: seconds(9) } },
      ],
      [
        'termination_by_cause.drain.kill_signal',
        { terminationByCause: { drain: { killSignal: 15 } } },
        { terminationByCause: { ...FULL.terminationByCause, drain: { ...FULL.terminationByCause?.drain, killSignal: 15 } } },
      ],
      ['termination_by_cause.update', {}, { terminationByCause: { ...FULL.terminationByCause, update: undefined } }],
      ['initializer.timeout', { initializer: { timeout: seconds(4) } }, { initializer: { handler: 'index.init', timeout: seconds(4) } }],
      ['pre_stop', {}, { preStop: undefined }],
      ['event_invoke.on_success', {}, { eventInvoke: { ...FULL.eventInvoke, onSuccess: undefined } }],
    ] as const)
      assert.deepEqual(changed(wanted, path), { ...FULL, ...expected }, path);
  });

  it('takes any one path from settings that are the same, and changes nothing', () => {
    const paths = ['timeout', 'environment', 'termination', 'termination.escalation', 'termination_by_cause.drain', 'event_invoke'];
    const deeper = [
      'event_invoke.on_failure.webhook',
      'event_invoke.on_failure.webhook.url',
      'event_invoke.on_success.topic.name',
      'pre_stop.handler',
    ];
    fc.assert(
      fc.property(fc.subarray([...paths, ...deeper], { minLength: 1 }), (mask) => {
        assert.deepEqual(completeSettings(orThrow(mergeSettings(FULL, FULL, mask))), FULL);
      }),
    );
  });

  it('puts what is named and unset back to its default', () => {
    const reset = changed({}, 'event_invoke.max_retries', 'termination.kill_signal', 'termination.max_grace_period', 'initializer.timeout');
    assert.deepEqual(
      [reset.eventInvoke?.maxRetries, reset.termination?.killSignal, reset.termination?.maxGracePeriod, reset.initializer?.timeout],
      [2, 15, seconds(600), seconds(3)],
    );
  });

  it('keeps a secret for its URL, and for no other', () => {
    const secretAfter = (target: Destination, ...fields: string[]): string | undefined => {
      const mask = fields.map((field) => `event_invoke.on_failure${field}`);
      const after = orThrow(mergeSettings(FULL, settings({ eventInvoke: { onFailure: target } }), mask)).eventInvoke?.onFailure?.target;
      return after?.$case === 'webhook' ? `${after.value.url} ${after.value.secret}` : undefined;
    };
    const [url, elsewhere, other] = ['https://example.com/x', 'https://example.org/y', 't'.repeat(16)];
    assert.equal(secretAfter(webhook(url, ''), '.webhook.url'), `${url} ${SECRET}`);
    assert.equal(secretAfter(webhook(url, ''), '.webhook'), `${url} ${SECRET}`);
    assert.equal(secretAfter(webhook(elsewhere, ''), '.webhook.url'), `${elsewhere} `);
    assert.equal(secretAfter(webhook('', other), '.webhook.secret'), `${url} ${other}`);
    for (const both of [
      ['.webhook.url', '.webhook.secret'],
      ['.webhook.secret', '.webhook.url'],
    ])
      assert.equal(secretAfter(webhook(elsewhere, other), ...both), `${elsewhere} ${other}`);
  });

  it('makes the target that is named the only one', () => {
    const after = changed({ eventInvoke: { onFailure: topic } }, 'event_invoke.on_failure.topic.name');
    assert.deepEqual(after.eventInvoke?.onFailure, topic);
    assert.deepEqual(changed({}, 'event_invoke.on_failure.topic').eventInvoke, FULL.eventInvoke, 'there was no topic to take away');
    assert.equal(changed({}, 'event_invoke.on_failure.webhook').eventInvoke?.onFailure, undefined);
  });

  it('lets a longer grace period of a cause have a longer longest one', () => {
    const longer = changed({ terminationByCause: { drain: { gracePeriod: seconds(900) } } }, 'termination_by_cause.drain.grace_period');
    assert.deepEqual(longer.terminationByCause?.drain?.maxGracePeriod, seconds(900));
  });

  it('is refused where it names what is not there', () => {
    for (const path of [
      '',
      'name',
      'timeout.seconds',
      'event_invoke.',
      'event_invoke.on_failure.queue',
      'termination.nonsense',
      'toString',
      '__proto__.x',
    ])
      assert.equal(refusedBy(path), 'INVALID_FIELD', path);
    assert.equal(refusedBy(), 'INVALID_FIELD');
  });
});
