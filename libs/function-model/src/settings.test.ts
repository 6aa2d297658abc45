import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { KillSignal, TerminationPolicy } from '@evenfall/contracts/v1/termination';
import { isRefusal, orThrow } from '@evenfall/errors';
import { durationOfMs, msOfDuration } from '@evenfall/time';
import fc from 'fast-check';
import {
  callPolicyRefusal,
  completeSettings,
  DURATIONS,
  eventPolicyOf,
  type FunctionSettings,
  INSTANCE_BOUNDS,
  MEMORY_MB,
  RETRIES,
  withoutOwnDefaults,
} from './index.ts';

const settings = (fields: Parameters<typeof FunctionMessage.fromPartial>[0]): FunctionSettings =>
  FunctionMessage.fromPartial({ runtime: 'python3', handler: 'index.main', ...fields });
/** The field that is refused; empty if none is. */
function refusedOf(fields: object): string {
  const answer = completeSettings(settings(fields));
  return isRefusal(answer) ? (answer.metadata['field'] ?? answer.reason) : '';
}
const ms = durationOfMs;

/** Every duration of a function: its field, and settings with only that duration. */
const WHERE: readonly (readonly [string, { readonly leastMs: number; readonly mostMs: number }, (ms: number) => object])[] = [
  ['timeout', DURATIONS.timeout, (at) => ({ timeout: ms(at) })],
  ['init_timeout', DURATIONS.initTimeout, (at) => ({ initTimeout: ms(at) })],
  ['initializer.timeout', DURATIONS.hookTimeout, (at) => ({ initializer: { handler: 'a.b', timeout: ms(at) } })],
  ['pre_stop.timeout', DURATIONS.hookTimeout, (at) => ({ preStop: { handler: 'a.b', timeout: ms(at) } })],
  ['event_invoke.retry_interval', DURATIONS.retryInterval, (at) => ({ eventInvoke: { retryInterval: ms(at) } })],
  ['event_invoke.max_event_age', DURATIONS.maxEventAge, (at) => ({ eventInvoke: { maxEventAge: ms(at) } })],
  ['termination.max_grace_period', DURATIONS.maxGracePeriod, (at) => ({ termination: { maxGracePeriod: ms(at) } })],
  [
    'termination.grace_period',
    DURATIONS.gracePeriod,
    (at) => ({ termination: { gracePeriod: ms(at), maxGracePeriod: ms(DURATIONS.maxGracePeriod.mostMs) } }),
  ],
  ['termination.exit_grace', DURATIONS.exitGrace, (at) => ({ termination: { exitGrace: ms(at) } })],
  [
    'termination.escalation[0].wait',
    DURATIONS.escalationWait,
    (at) => ({ termination: { escalation: [{ signal: KillSignal.SIGTERM, wait: ms(at) }] } }),
  ],
  ['termination_by_cause.drain.grace_period', DURATIONS.gracePeriod, (at) => ({ terminationByCause: { drain: { gracePeriod: ms(at) } } })],
];

describe('the settings of a function', () => {
  for (const [field, { leastMs, mostMs }, fieldsOf] of WHERE)
    it(`have ${field} within its bounds, both included`, () => {
      for (const good of [leastMs, mostMs]) assert.equal(refusedOf(fieldsOf(good)), '');
      for (const bad of [leastMs - 1, mostMs + 1]) assert.equal(refusedOf(fieldsOf(bad)), field);
      assert.equal(refusedOf(fieldsOf(Number.MAX_SAFE_INTEGER)), field);
    });

  it('are complete after they are completed: completing them again changes nothing, and no service needs a default', () => {
    const duration = ({ leastMs, mostMs }: { leastMs: number; mostMs: number }) =>
      fc.option(fc.integer({ min: leastMs, max: mostMs }).map(ms), { nil: undefined });
    const given = fc.record({
      timeout: duration(DURATIONS.timeout),
      initTimeout: duration(DURATIONS.initTimeout),
      memoryMb: fc.constantFrom(0, MEMORY_MB.least, MEMORY_MB.step, MEMORY_MB.most),
      tmpMb: fc.constantFrom(0, INSTANCE_BOUNDS.tmpMb.least, INSTANCE_BOUNDS.tmpMb.most),
      maxProcesses: fc.constantFrom(0, INSTANCE_BOUNDS.maxProcesses.least),
      eventInvoke: fc.option(
        fc.record({
          maxRetries: fc.option(fc.integer({ min: RETRIES.least, max: RETRIES.most }), { nil: undefined }),
          retryInterval: duration(DURATIONS.retryInterval),
          maxEventAge: duration(DURATIONS.maxEventAge),
        }),
        { nil: undefined },
      ),
      terminationByCause: fc.option(
        fc.record({ drain: fc.option(fc.record({ gracePeriod: duration(DURATIONS.gracePeriod) }), { nil: undefined }) }),
        {
          nil: undefined,
        },
      ),
    });
    fc.assert(
      fc.property(given, (fields) => {
        const once = orThrow(completeSettings(settings(fields as Parameters<typeof settings>[0]))); // the options of fast-check are those of the message
        assert.deepEqual(completeSettings(once), once);
        assert.ok(once.timeout && once.initTimeout && once.memoryMb > 0 && once.tmpMb > 0 && once.eventInvoke?.maxEventAge);
        const open = withoutOwnDefaults(once.terminationByCause);
        assert.deepEqual(orThrow(completeSettings({ ...once, terminationByCause: open })), once);
      }),
    );
  });

  it('have the defaults that an event of a function without settings gets', () => {
    const bare = FunctionMessage.fromPartial({ namespace: 'default', name: 'fn' });
    const whole = FunctionMessage.fromPartial({ ...bare, ...orThrow(completeSettings(settings({}))) });
    assert.deepEqual(eventPolicyOf(bare), eventPolicyOf(whole));
    assert.deepEqual([msOfDuration(whole.initTimeout), msOfDuration(whole.timeout), whole.memoryMb], [65_000, 3_000, 128]);
  });

  it('are refused by the first field that cannot be, as a value', () => {
    for (const [field, fields] of [
      ['runtime', { runtime: 'cobol' }],
      ['handler', { handler: 'no handler' }],
      ['handler', { handler: `${'x'.repeat(128)}.y` }],
      ['description', { description: '😀'.repeat(1_001) }],
      ['environment.1A', { environment: { '1A': '' } }],
      ['environment.scf_x', { environment: { scf_x: '' } }],
      ['environment.A', { environment: { A: '\0' } }],
      ['environment', { environment: { A: 'x'.repeat(4_096) } }],
      ['annotations.a b', { annotations: { 'a b': '' } }],
      ['annotations', { annotations: { a: 'x'.repeat(4_096) } }],
      ['memory_mb', { memoryMb: 100 }],
      ['memory_mb', { memoryMb: MEMORY_MB.most + MEMORY_MB.step }],
      ['tmp_mb', { tmpMb: 63 }],
      ['max_processes', { maxProcesses: 4_097 }],
      ['event_invoke.max_retries', { eventInvoke: { maxRetries: 9 } }],
      ['initializer.handler', { initializer: { handler: '' } }],
      ['pre_stop', { runtime: 'go1', handler: '', preStop: { handler: 'a' } }],
      ['port', { port: 1 }],
      ['port', { runtime: 'web', handler: '', port: 65_536 }],
      ['termination.kill_signal', { termination: { killSignal: KillSignal.SIGKILL } }],
      ['termination.grace_period', { termination: { gracePeriod: ms(600_001) } }],
      ['termination.signal_scope', { termination: { signalScope: 9 as never } }],
      [
        'termination.escalation',
        { termination: { escalation: Array.from({ length: 9 }, () => ({ signal: KillSignal.SIGTERM, wait: ms(0) })) } },
      ],
      ['termination.escalation[0].wait', { termination: { escalation: [{ signal: KillSignal.SIGTERM }] } }],
      ['termination_by_cause.timeout.grace_period', { terminationByCause: { timeout: { gracePeriod: ms(3_000) } } }],
    ] as readonly (readonly [string, object])[])
      assert.equal(refusedOf(fields), field, Object.keys(fields).join(' '));
  });
});

describe('the policy of a request to terminate', () => {
  const refused = (fields: Parameters<typeof TerminationPolicy.fromPartial>[0], isGraceful = true): string =>
    callPolicyRefusal(isGraceful, TerminationPolicy.fromPartial(fields))?.metadata['field'] ?? '';

  it('has the bounds that the policy of a function has, and leaves its longest grace period to the function', () => {
    assert.equal(callPolicyRefusal(false, undefined), undefined);
    assert.equal(refused({ killSignal: KillSignal.SIGINT, gracePeriod: ms(DURATIONS.gracePeriod.mostMs) }), '');
    assert.equal(refused({ gracePeriod: ms(1) }, false), 'policy');
    assert.equal(refused({ maxGracePeriod: ms(1) }), 'max_grace_period');
    assert.equal(refused({ gracePeriod: ms(DURATIONS.gracePeriod.mostMs + 1) }), 'grace_period');
    assert.equal(refused({ killSignal: KillSignal.SIGKILL }), 'kill_signal');
    assert.equal(refused({ escalation: [{ signal: KillSignal.UNSPECIFIED, wait: ms(1) }] }), 'escalation[0].signal');
  });
});
