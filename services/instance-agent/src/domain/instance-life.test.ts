import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KillSignal } from '@evenfall/contracts/v1/termination';
import fc from 'fast-check';
import { advance, type LifeEffect, type LifeInput, type LifeState } from './instance-life.ts';
import type { TerminationPlan } from './termination-plan.ts';

const plan = (nowMs: number, graceMs: number): TerminationPlan => ({
  nowMs,
  steps: graceMs === 0 ? [] : [{ signal: KillSignal.SIGTERM, atMs: nowMs }],
  killAtMs: nowMs + graceMs,
});

/** Runs inputs through the table; returns the last state and every effect. */
function run(state: LifeState, ...inputs: readonly LifeInput[]): { state: LifeState; effects: LifeEffect[] } {
  const effects: LifeEffect[] = [];
  for (const input of inputs) {
    const step = advance(state, input);
    state = step.state;
    effects.push(...step.effects);
  }
  return { state, effects };
}
const kinds = (effects: readonly LifeEffect[]): string[] => effects.map((effect) => effect.kind);
const BUSY: LifeState = { kind: 'BUSY' };

describe('The life of an instance', () => {
  it('goes around for every event that returns', () => {
    const { state, effects } = run(
      { kind: 'STARTING' },
      { kind: 'LOADED' },
      { kind: 'HANDED_OVER' },
      { kind: 'ANSWERED', retire: false },
      { kind: 'CONCLUDED' },
    );
    assert.equal(state.kind, 'IDLE');
    assert.deepEqual(kinds(effects), ['ANNOUNCE_READY', 'CONCLUDE']);
  });

  it('ends after a failure: killed, swept, reported', () => {
    const { state, effects } = run(
      BUSY,
      { kind: 'ANSWERED', retire: true },
      { kind: 'LEADER_EXITED', exitCode: null, signal: 'SIGKILL' },
      { kind: 'SWEPT' },
    );
    assert.deepEqual(state, { kind: 'GONE', ending: { kind: 'ANSWERED' } });
    assert.deepEqual(kinds(effects), ['KILL_GROUP', 'SWEEP', 'FINISH']);
  });

  it('gives a signal, then its grace, then SIGKILL', () => {
    const stopped = run(BUSY, { kind: 'STOP_GRACEFUL', plan: plan(1000, 500) });
    assert.deepEqual(stopped.effects, [
      { kind: 'SEND_SIGNAL', signal: KillSignal.SIGTERM },
      { kind: 'ARM', dueMs: 1500 },
    ]);
    assert.deepEqual(kinds(run(stopped.state, { kind: 'DUE', nowMs: 1499 }).effects), ['ARM']);
    const killed = run(stopped.state, { kind: 'DUE', nowMs: 1500 });
    assert.deepEqual(killed.state, { kind: 'KILLING', ending: { kind: 'FORCE_KILLED' } });
    assert.deepEqual(kinds(killed.effects), ['KILL_GROUP']);
  });

  it('with a grace of 0 gets SIGKILL at once', () => {
    assert.deepEqual(kinds(run(BUSY, { kind: 'STOP_GRACEFUL', plan: plan(1000, 0) }).effects), ['KILL_GROUP']);
  });

  it('may have its grace shortened, never stretched, and no signal twice', () => {
    const stopped = run(BUSY, { kind: 'STOP_GRACEFUL', plan: plan(1000, 500) }).state;
    const longer = run(stopped, { kind: 'STOP_GRACEFUL', plan: plan(1100, 9000) });
    assert.deepEqual(longer.effects, [{ kind: 'ARM', dueMs: 1500 }]);
    const shorter = run(stopped, { kind: 'STOP_GRACEFUL', plan: plan(1100, 100) });
    assert.deepEqual(shorter.effects, [{ kind: 'ARM', dueMs: 1200 }]);
  });

  it('is told apart: timeout while busy, grace while terminating', () => {
    assert.deepEqual(run(BUSY, { kind: 'DUE', nowMs: 1 }).state, { kind: 'KILLING', ending: { kind: 'TIMED_OUT' } });
    const stopped = run(BUSY, { kind: 'STOP_GRACEFUL', plan: plan(0, 10) }, { kind: 'DUE', nowMs: 10 });
    assert.deepEqual(stopped.state, { kind: 'KILLING', ending: { kind: 'FORCE_KILLED' } });
  });

  it('says what happened, not what was asked, if it left by itself', () => {
    const killed = run(BUSY, { kind: 'KILL_ORDERED', ending: { kind: 'FORCE_KILLED' } }).state;
    assert.deepEqual(run(killed, { kind: 'LEADER_EXITED', exitCode: 0, signal: null }).state, {
      kind: 'SWEEPING',
      ending: { kind: 'EXITED', exitCode: 0 },
    });
  });

  it('is not touched by a stop once it has answered', () => {
    const answered = run(BUSY, { kind: 'ANSWERED', retire: false }).state;
    const stopped = run(answered, { kind: 'STOP_GRACEFUL', plan: plan(0, 10) }, { kind: 'KILL_ORDERED', ending: { kind: 'FORCE_KILLED' } });
    assert.deepEqual(stopped, { state: answered, effects: [] });
  });

  it('idle, is stopped by its hook, SIGTERM, 50 ms, SIGKILL', () => {
    const { effects } = run(
      { kind: 'IDLE' },
      { kind: 'STOP_INSTANCE', nowMs: 0, hookTimeoutMs: 100 },
      { kind: 'DUE', nowMs: 100 },
      { kind: 'DUE', nowMs: 150 },
    );
    assert.deepEqual(kinds(effects), ['RUN_PRE_STOP', 'ARM', 'SEND_LEAVE', 'ARM', 'KILL_GROUP']);
  });

  it('always comes to one end, whatever happens in whatever order', () => {
    const ms = fc.nat(2000);
    const input: fc.Arbitrary<LifeInput> = fc.oneof(
      fc.constantFrom<LifeInput>({ kind: 'LOADED' }, { kind: 'HANDED_OVER' }, { kind: 'CONCLUDED' }, { kind: 'SWEPT' }),
      fc.constant<LifeInput>({ kind: 'START_FAILED', fault: { statusCode: 443, message: 'x' } }),
      fc.constantFrom<LifeInput>(
        { kind: 'KILL_ORDERED', ending: { kind: 'FORCE_KILLED' } },
        { kind: 'KILL_ORDERED', ending: { kind: 'LOST' } },
      ),
      fc.record({ kind: fc.constant('ANSWERED' as const), retire: fc.boolean() }),
      fc.tuple(ms, ms).map(([nowMs, graceMs]): LifeInput => ({ kind: 'STOP_GRACEFUL', plan: plan(nowMs, graceMs) })),
      fc.tuple(ms, ms).map(([nowMs, hookTimeoutMs]): LifeInput => ({ kind: 'STOP_INSTANCE', nowMs, hookTimeoutMs })),
      ms.map((nowMs): LifeInput => ({ kind: 'HOOK_ENDED', nowMs })),
      ms.map((nowMs): LifeInput => ({ kind: 'DUE', nowMs })),
      fc.constantFrom<LifeInput>(
        { kind: 'LEADER_EXITED', exitCode: 1, signal: null },
        { kind: 'LEADER_EXITED', exitCode: null, signal: 'SIGKILL' },
      ),
    );
    fc.assert(
      fc.property(fc.array(input, { maxLength: 40 }), (inputs) => {
        const last: LifeInput[] = [{ kind: 'LEADER_EXITED', exitCode: null, signal: 'SIGKILL' }, { kind: 'SWEPT' }];
        const { state, effects } = run({ kind: 'STARTING' }, ...inputs, ...last);
        assert.equal(state.kind, 'GONE');
        const names = kinds(effects);
        assert.equal(names.filter((name) => name === 'FINISH').length, 1);
        assert.equal(names.at(-1), 'FINISH');
        assert.equal(names.filter((name) => name === 'SWEEP').length, 1);
        assert.ok(names.filter((name) => name === 'KILL_GROUP').length <= 1);
      }),
    );
  });
});
