import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KillSignal, SignalScope } from '@evenfall/contracts/v1/termination';
import fc from 'fast-check';
import { advance, type LifeEffect, type LifeInput, type LifeState } from './instance-life.ts';
import type { TerminationPlan } from './termination-plan.ts';

const plan = (nowMs: number, graceMs: number): TerminationPlan => ({
  nowMs,
  steps: graceMs === 0 ? [] : [{ signal: KillSignal.SIGTERM, atMs: nowMs }],
  killAtMs: nowMs + graceMs,
  end: { kind: 'FORCE_KILLED' },
  limitMs: nowMs + 2_000,
  limit: 'MAX_GRACE',
  scope: SignalScope.MAIN,
  exitMs: 10_000,
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
  it('returns to idle after every event that returns', () => {
    const { state, effects } = run(
      { kind: 'STARTING' },
      { kind: 'LOADED' },
      { kind: 'HANDED_OVER' },
      { kind: 'ANSWERED', nowMs: 0 },
      { kind: 'CONCLUDED', nowMs: 0, isFree: true },
    );
    assert.equal(state.kind, 'IDLE');
    assert.deepEqual(kinds(effects), ['ANNOUNCE_READY', 'CONCLUDE']);
  });

  it('is free for the next event when its runtime is, not before', () => {
    const answered = run(BUSY, { kind: 'ANSWERED', nowMs: 0 }, { kind: 'CONCLUDED', nowMs: 0, isFree: false });
    assert.deepEqual([answered.state.kind, kinds(answered.effects)], ['SETTLING', ['CONCLUDE']]);
    const free = run(answered.state, { kind: 'FREE' });
    assert.deepEqual([free.state.kind, kinds(free.effects)], ['IDLE', ['ANNOUNCE_FREE']]);
    const stopped = run(answered.state, { kind: 'STOP_INSTANCE', nowMs: 0, hookTimeoutMs: 0 });
    assert.deepEqual(kinds(stopped.effects), ['SEND_LEAVE', 'ARM'], 'it need not be free to be stopped');
  });

  it('ends after a failure by its hook, SIGTERM and 50 ms, and reports the attempt last', () => {
    const failed = run(BUSY, { kind: 'ANSWERED', nowMs: 0, retireHookMs: 100 }, { kind: 'CONCLUDED', nowMs: 1, isFree: true });
    assert.deepEqual(kinds(failed.effects), ['SET_ASIDE', 'RUN_PRE_STOP', 'ARM']);
    const { state, effects } = run(
      failed.state,
      { kind: 'HOOK_ENDED', nowMs: 5 },
      { kind: 'LEADER_EXITED', exitCode: null, signal: 'SIGTERM' },
      { kind: 'SWEPT' },
    );
    assert.deepEqual(state, { kind: 'GONE', end: { kind: 'ANSWERED' } });
    assert.deepEqual(kinds(effects), ['SEND_LEAVE', 'ARM', 'SWEEP', 'FINISH']);
    const forced = run(failed.state, { kind: 'KILL_ORDERED', end: { kind: 'FORCE_KILLED' } });
    assert.deepEqual(forced.state, { kind: 'KILLING', end: { kind: 'ANSWERED' } }, 'what happened wins');
  });

  it('has the rest of its grace, at most 10 s, to exit by itself after it has answered a stop', () => {
    const stopped = run(BUSY, { kind: 'STOP_GRACEFUL', plan: plan(0, 30_000) }).state;
    const exiting = run(stopped, { kind: 'ANSWERED', nowMs: 100 });
    assert.deepEqual(exiting.effects, [{ kind: 'ARM', dueMs: 10_100 }, { kind: 'ASK_TO_EXIT' }]);
    const byItself = run(exiting.state, { kind: 'LEADER_EXITED', exitCode: 0, signal: null });
    assert.deepEqual(byItself.state, { kind: 'SWEEPING', end: { kind: 'ANSWERED' } });
    assert.deepEqual(kinds(run(exiting.state, { kind: 'DUE', nowMs: 10_100 }).effects), ['KILL_GROUP']);
    assert.deepEqual(kinds(run(exiting.state, { kind: 'FINISHED' }).effects), ['KILL_GROUP'], 'it waits for another event in vain');
    assert.deepEqual(kinds(run(exiting.state, { kind: 'KILL_ORDERED', end: { kind: 'LOST' } }).effects), ['KILL_GROUP']);
    const shortened = run(exiting.state, { kind: 'STOP_GRACEFUL', plan: plan(200, 300) });
    assert.deepEqual(shortened.effects, [{ kind: 'ARM', dueMs: 500 }]);
    const late = run(run(BUSY, { kind: 'STOP_GRACEFUL', plan: plan(0, 1_000) }).state, { kind: 'ANSWERED', nowMs: 900 });
    assert.deepEqual(late.effects[0], { kind: 'ARM', dueMs: 1_000 }, 'never longer than the policy');
    const atOnce = run(BUSY, { kind: 'STOP_GRACEFUL', plan: { ...plan(0, 1_000), exitMs: 0 } }, { kind: 'ANSWERED', nowMs: 1 });
    assert.equal(atOnce.state.kind, 'KILLING');
  });

  it('with scope GROUP, has its grace until the last of the group has ended', () => {
    const group = { ...plan(0, 1_000), scope: SignalScope.GROUP };
    const leaderGone = run(
      BUSY,
      { kind: 'STOP_GRACEFUL', plan: group },
      { kind: 'LEADER_EXITED', exitCode: null, signal: 'SIGTERM', groupLeft: true },
    );
    assert.deepEqual(kinds(leaderGone.effects), ['SEND_SIGNAL', 'ARM', 'WATCH_GROUP']);
    const ended = run(leaderGone.state, { kind: 'GROUP_ENDED' });
    assert.deepEqual(ended.state, { kind: 'SWEEPING', end: { kind: 'DIED_OF', signal: 'SIGTERM' } });
    const answered = run(leaderGone.state, { kind: 'ANSWERED', nowMs: 500 });
    assert.deepEqual(answered.effects[0], { kind: 'ARM', dueMs: 1_000 });
    assert.deepEqual(run(answered.state, { kind: 'GROUP_ENDED' }).state, { kind: 'SWEEPING', end: { kind: 'ANSWERED' } });
    const overdue = run(leaderGone.state, { kind: 'DUE', nowMs: 1_000 });
    assert.deepEqual(overdue.state, { kind: 'SWEEPING', end: { kind: 'FORCE_KILLED' } });
    assert.deepEqual(kinds(overdue.effects), ['KILL_GROUP', 'SWEEP']);
    const main = run(
      BUSY,
      { kind: 'STOP_GRACEFUL', plan: plan(0, 1_000) },
      { kind: 'LEADER_EXITED', exitCode: 0, signal: null, groupLeft: true },
    );
    assert.equal(main.state.kind, 'SWEEPING', 'with scope MAIN the leader is what counts');
  });

  it('gives a signal, then its grace, then SIGKILL', () => {
    const stopped = run(BUSY, { kind: 'STOP_GRACEFUL', plan: plan(1000, 500) });
    assert.deepEqual(stopped.effects, [
      { kind: 'SEND_SIGNAL', signal: KillSignal.SIGTERM },
      { kind: 'ARM', dueMs: 1500 },
    ]);
    assert.deepEqual(kinds(run(stopped.state, { kind: 'DUE', nowMs: 1499 }).effects), ['ARM']);
    const killed = run(stopped.state, { kind: 'DUE', nowMs: 1500 });
    assert.deepEqual(killed.state, { kind: 'KILLING', end: { kind: 'FORCE_KILLED' } });
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

  it('shortened, keeps its further steps at their own distance, and can have no more time', () => {
    const planned: TerminationPlan = {
      ...plan(0, 1_000),
      steps: [
        { signal: KillSignal.SIGTERM, atMs: 0 },
        { signal: KillSignal.SIGINT, atMs: 1_000 },
      ],
      killAtMs: 1_300,
    };
    const asked: TerminationPlan = {
      ...planned,
      nowMs: 100,
      steps: [
        { signal: KillSignal.SIGHUP, atMs: 100 },
        { signal: KillSignal.SIGQUIT, atMs: 300 },
      ],
      killAtMs: 600,
    };
    const stopped = run(BUSY, { kind: 'STOP_GRACEFUL', plan: planned }, { kind: 'STOP_GRACEFUL', plan: asked });
    assert.deepEqual(stopped.effects.at(-1), { kind: 'ARM', dueMs: 300 }, 'the next step comes when the grace asked for is over');
    const escalated = run(stopped.state, { kind: 'DUE', nowMs: 300 });
    assert.deepEqual(escalated.effects, [
      { kind: 'SEND_SIGNAL', signal: KillSignal.SIGINT },
      { kind: 'ARM', dueMs: 600 },
    ]);
    const more = run(escalated.state, { kind: 'EXTEND', nowMs: 310, ms: 50 });
    assert.deepEqual(more.effects.at(-1), {
      kind: 'ANSWER_EXTENSION',
      requestedMs: 50,
      grantedMs: 0,
      reason: 'A later request asked for it to end sooner',
    });
  });

  it('may get more time for what is next, up to the longest grace from the first signal on', () => {
    const stopped = run(BUSY, { kind: 'STOP_GRACEFUL', plan: plan(0, 500) }).state;
    const once = run(stopped, { kind: 'EXTEND', nowMs: 400, ms: 1_000 });
    assert.deepEqual(once.effects, [
      { kind: 'ARM', dueMs: 1_500 },
      { kind: 'ANSWER_EXTENSION', requestedMs: 1_000, grantedMs: 1_000, reason: '' },
    ]);
    const twice = run(once.state, { kind: 'EXTEND', nowMs: 1_400, ms: 1_000 });
    assert.deepEqual(twice.effects, [
      { kind: 'ARM', dueMs: 2_000 },
      { kind: 'ANSWER_EXTENSION', requestedMs: 1_000, grantedMs: 500, reason: 'The longest grace period of the function is used up' },
    ]);
    const busy = run(BUSY, { kind: 'EXTEND', nowMs: 0, ms: 5 });
    assert.deepEqual([busy.state, kinds(busy.effects)], [BUSY, ['ANSWER_EXTENSION']], 'nothing to extend');
  });

  it('ends as what it was planned for says, and as terminated if a caller requested it', () => {
    const drain = { ...plan(0, 500), end: { kind: 'DRAINED' } as const };
    const drained = run(BUSY, { kind: 'STOP_GRACEFUL', plan: drain }, { kind: 'DUE', nowMs: 500 });
    assert.deepEqual(drained.state, { kind: 'KILLING', end: { kind: 'DRAINED' } });
    const both = run(
      BUSY,
      { kind: 'STOP_GRACEFUL', plan: drain },
      { kind: 'STOP_GRACEFUL', plan: plan(10, 100) },
      { kind: 'DUE', nowMs: 110 },
    );
    assert.deepEqual(both.state, { kind: 'KILLING', end: { kind: 'FORCE_KILLED' } });
  });

  it('idle, may be replaced by a policy of its own', () => {
    const policy = {
      killSignal: KillSignal.SIGHUP,
      graceMs: 1_000,
      maxGraceMs: 1_000,
      escalation: [],
      scope: SignalScope.MAIN,
      exitMs: 0,
    } as const;
    const { effects } = run({ kind: 'IDLE' }, { kind: 'STOP_INSTANCE', nowMs: 0, hookTimeoutMs: 0, policy }, { kind: 'DUE', nowMs: 999 });
    assert.deepEqual(effects[0], { kind: 'SEND_LEAVE', signal: KillSignal.SIGHUP });
    assert.deepEqual(kinds(effects), ['SEND_LEAVE', 'ARM', 'ARM'], 'it has its second');
  });

  it('distinguishes timeout while busy, grace while terminating', () => {
    assert.deepEqual(run(BUSY, { kind: 'DUE', nowMs: 1 }).state, { kind: 'KILLING', end: { kind: 'TIMED_OUT' } });
    const stopped = run(BUSY, { kind: 'STOP_GRACEFUL', plan: plan(0, 10) }, { kind: 'DUE', nowMs: 10 });
    assert.deepEqual(stopped.state, { kind: 'KILLING', end: { kind: 'FORCE_KILLED' } });
  });

  it('reports what happened, not what was requested, if it exited by itself', () => {
    const killed = run(BUSY, { kind: 'KILL_ORDERED', end: { kind: 'FORCE_KILLED' } }).state;
    assert.deepEqual(run(killed, { kind: 'LEADER_EXITED', exitCode: 0, signal: null }).state, {
      kind: 'SWEEPING',
      end: { kind: 'EXITED', exitCode: 0 },
    });
  });

  it('is not touched by a stop once it has answered', () => {
    const answered = run(BUSY, { kind: 'ANSWERED', nowMs: 0 }).state;
    const stopped = run(answered, { kind: 'STOP_GRACEFUL', plan: plan(0, 10) }, { kind: 'KILL_ORDERED', end: { kind: 'FORCE_KILLED' } });
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
      fc.constantFrom<LifeInput>(
        { kind: 'LOADED' },
        { kind: 'HANDED_OVER' },
        { kind: 'FREE' },
        { kind: 'FINISHED' },
        { kind: 'GROUP_ENDED' },
        { kind: 'SWEPT' },
      ),
      fc.constant<LifeInput>({ kind: 'START_FAILED', fault: { statusCode: 443, message: 'x' } }),
      fc.constantFrom<LifeInput>({ kind: 'KILL_ORDERED', end: { kind: 'FORCE_KILLED' } }, { kind: 'KILL_ORDERED', end: { kind: 'LOST' } }),
      fc.tuple(ms, fc.boolean()).map(([nowMs, isFree]): LifeInput => ({ kind: 'CONCLUDED', nowMs, isFree })),
      ms.map((nowMs): LifeInput => ({ kind: 'ANSWERED', nowMs })),
      fc.tuple(ms, ms).map(([nowMs, retireHookMs]): LifeInput => ({ kind: 'ANSWERED', nowMs, retireHookMs })),
      fc
        .tuple(ms, ms, ms, fc.constantFrom(SignalScope.MAIN, SignalScope.GROUP))
        .map(([nowMs, graceMs, exitMs, scope]): LifeInput => ({ kind: 'STOP_GRACEFUL', plan: { ...plan(nowMs, graceMs), exitMs, scope } })),
      fc.tuple(ms, ms).map(([nowMs, hookTimeoutMs]): LifeInput => ({ kind: 'STOP_INSTANCE', nowMs, hookTimeoutMs })),
      ms.map((nowMs): LifeInput => ({ kind: 'HOOK_ENDED', nowMs })),
      ms.map((nowMs): LifeInput => ({ kind: 'DUE', nowMs })),
      fc.tuple(ms, ms).map(([nowMs, extraMs]): LifeInput => ({ kind: 'EXTEND', nowMs, ms: extraMs })),
      fc.constantFrom<LifeInput>(
        { kind: 'LEADER_EXITED', exitCode: 1, signal: null },
        { kind: 'LEADER_EXITED', exitCode: 1, signal: null, groupLeft: true },
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
