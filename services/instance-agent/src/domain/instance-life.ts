import { type KillSignal, SignalScope } from '@evenfall/contracts/v1/termination';
import type { InstanceEnd, StartFault } from './instance-end.ts';
import type { LifeEffect, LifeInput, LifeState, LifeStep } from './life-states.ts';
import { extendPlan, LEAVE_POLICY, planOf, type ResolvedPolicy, shortenPlan, type TerminationPlan } from './termination-plan.ts';

export type { InstanceEnd, LifeEffect, LifeInput, LifeState, LifeStep, StartFault };

type Cell<S, I> = (state: Extract<LifeState, { kind: S }>, input: Extract<LifeInput, { kind: I }>) => LifeStep;
type Table = { readonly [S in LifeState['kind']]: { readonly [I in LifeInput['kind']]: Cell<S, I> } };

const NO_EFFECTS: readonly LifeEffect[] = [];
const to = (state: LifeState, ...effects: readonly LifeEffect[]): LifeStep => ({ state, effects });
const stay = (state: LifeState): LifeStep => ({ state, effects: NO_EFFECTS });
const kill = (end: InstanceEnd): LifeStep => to({ kind: 'KILLING', end }, { kind: 'KILL_GROUP' });
const sweep = (end: InstanceEnd): LifeStep => to({ kind: 'SWEEPING', end }, { kind: 'SWEEP' });
const leave = (policy: ResolvedPolicy, nowMs: number, end: InstanceEnd): LifeStep => followLeave(planOf(policy, nowMs), nowMs, end);
/** Kills what is left of a group whose leader is gone. */
const killRest = (end: InstanceEnd): LifeStep => to({ kind: 'SWEEPING', end }, { kind: 'KILL_GROUP' }, { kind: 'SWEEP' });
const exited = (input: { exitCode: number | null; signal: string | null }): InstanceEnd =>
  input.signal === null ? { kind: 'EXITED', exitCode: input.exitCode ?? 0 } : { kind: 'DIED_OF', signal: input.signal };

// The three steps of an event that simply runs; made once, because every event has them.
const BUSY: LifeStep = to({ kind: 'BUSY' });
const ANSWERED: LifeStep = to({ kind: 'ANSWERED' });
const CONCLUDED: LifeStep = to({ kind: 'IDLE' }, { kind: 'CONCLUDE' });
const SETTLING: LifeStep = to({ kind: 'SETTLING' }, { kind: 'CONCLUDE' });
const RETIRED: InstanceEnd = { kind: 'RETIRED' };
const HAS_ANSWERED: InstanceEnd = { kind: 'ANSWERED' };

/** Continues a plan: sends the step that is due, or kills. */
function follow(plan: TerminationPlan, nowMs: number, left?: InstanceEnd): LifeStep {
  if (nowMs >= plan.killAtMs) return left ? killRest(plan.end) : kill(plan.end);
  const { rest, signal, dueMs } = next(plan, nowMs);
  const state: LifeState = { kind: 'TERMINATING', plan: rest, ...(left ? { left } : {}) };
  return signal === undefined ? to(state, { kind: 'ARM', dueMs }) : to(state, { kind: 'SEND_SIGNAL', signal }, { kind: 'ARM', dueMs });
}

/** The same for an instance that runs nothing. */
function followLeave(plan: TerminationPlan, nowMs: number, end: InstanceEnd): LifeStep {
  if (nowMs >= plan.killAtMs) return kill(end);
  const { rest, signal, dueMs } = next(plan, nowMs);
  const state: LifeState = { kind: 'LEAVING', plan: rest, end };
  return signal === undefined ? to(state, { kind: 'ARM', dueMs }) : to(state, { kind: 'SEND_LEAVE', signal }, { kind: 'ARM', dueMs });
}

/** What is left of a plan now, the signal that is due, and when to look again. */
function next(plan: TerminationPlan, nowMs: number): { rest: TerminationPlan; signal: KillSignal | undefined; dueMs: number } {
  const step = plan.steps[0];
  const isDue = step !== undefined && nowMs >= step.atMs;
  const rest = isDue ? { ...plan, steps: plan.steps.slice(1) } : plan;
  return { rest, signal: isDue ? step.signal : undefined, dueMs: Math.min(rest.steps[0]?.atMs ?? rest.killAtMs, rest.killAtMs) };
}

const notStopping = (state: LifeState, { ms }: Extract<LifeInput, { kind: 'EXTEND' }>): LifeStep =>
  to(state, { kind: 'ANSWER_EXTENSION', requestedMs: ms, grantedMs: 0, reason: 'The event is not being stopped gracefully' });

function extend(state: Extract<LifeState, { kind: 'TERMINATING' }>, { ms, nowMs }: Extract<LifeInput, { kind: 'EXTEND' }>): LifeStep {
  const { plan, grantedMs, reason } = extendPlan(state.plan, nowMs, ms);
  const dueMs = Math.min(plan.steps[0]?.atMs ?? plan.killAtMs, plan.killAtMs);
  return to({ ...state, plan }, { kind: 'ARM', dueMs }, { kind: 'ANSWER_EXTENSION', requestedMs: ms, grantedMs, reason });
}

/** Stops an instance that runs nothing: its hook, then its signal. */
function retire(end: InstanceEnd, policy: ResolvedPolicy, hookTimeoutMs: number, nowMs: number): LifeStep {
  if (hookTimeoutMs <= 0) return leave(policy, nowMs, end);
  return to({ kind: 'HOOKING', policy, end }, { kind: 'RUN_PRE_STOP' }, { kind: 'ARM', dueMs: nowMs + hookTimeoutMs });
}

const stopIdle = (_: LifeState, { policy, hookTimeoutMs, nowMs }: Extract<LifeInput, { kind: 'STOP_INSTANCE' }>): LifeStep =>
  retire(RETIRED, policy ?? LEAVE_POLICY, hookTimeoutMs, nowMs);

/** The instance has answered a graceful stop. It is never used again: a flag its handler set would end the next event too. */
function answerStop({ plan, left }: Extract<LifeState, { kind: 'TERMINATING' }>, nowMs: number): LifeStep {
  const dueMs = Math.min(nowMs + plan.exitMs, plan.killAtMs);
  if (dueMs <= nowMs) return left ? killRest(HAS_ANSWERED) : kill(HAS_ANSWERED);
  const isLeft = left !== undefined;
  return to({ kind: 'EXITING', dueMs, scope: plan.scope, isLeft }, { kind: 'ARM', dueMs }, { kind: 'ASK_TO_EXIT' });
}

/** The time to exit may be shortened, never stretched. */
function shortenExit(state: Extract<LifeState, { kind: 'EXITING' }>, plan: TerminationPlan): LifeStep {
  const dueMs = Math.min(state.dueMs, Math.max(plan.nowMs, plan.killAtMs));
  return to({ ...state, dueMs }, { kind: 'ARM', dueMs });
}

const endExit = ({ isLeft }: Extract<LifeState, { kind: 'EXITING' }>): LifeStep => (isLeft ? killRest(HAS_ANSWERED) : kill(HAS_ANSWERED));
const hasAnswered = (state: LifeState, { ms }: Extract<LifeInput, { kind: 'EXTEND' }>): LifeStep =>
  to(state, { kind: 'ANSWER_EXTENSION', requestedMs: ms, grantedMs: 0, reason: 'The event has been answered' });

const table: Table = {
  STARTING: {
    LOADED: () => to({ kind: 'IDLE' }, { kind: 'ANNOUNCE_READY' }),
    START_FAILED: (_, i) => kill({ kind: 'START_FAILED', fault: i.fault }),
    HANDED_OVER: stay,
    ANSWERED: stay,
    CONCLUDED: stay,
    FREE: stay,
    FINISHED: stay,
    STOP_GRACEFUL: stay,
    KILL_ORDERED: (_, i) => kill(i.end),
    STOP_INSTANCE: () => kill(RETIRED),
    EXTEND: notStopping,
    HOOK_ENDED: stay,
    DUE: () => kill({ kind: 'START_FAILED', fault: { statusCode: 450, message: 'The instance did not start within its init timeout' } }),
    LEADER_EXITED: (_, i) => sweep(exited(i)),
    GROUP_ENDED: stay,
    SWEPT: stay,
  },
  IDLE: {
    LOADED: stay,
    START_FAILED: stay,
    HANDED_OVER: () => BUSY,
    ANSWERED: stay,
    CONCLUDED: stay,
    FREE: stay,
    FINISHED: stay,
    STOP_GRACEFUL: stay,
    KILL_ORDERED: () => kill(RETIRED),
    STOP_INSTANCE: stopIdle,
    EXTEND: notStopping,
    HOOK_ENDED: stay,
    DUE: stay, // an old deadline of an event that has ended
    LEADER_EXITED: (_, i) => sweep(exited(i)),
    GROUP_ENDED: stay,
    SWEPT: stay,
  },
  BUSY: {
    LOADED: stay,
    START_FAILED: stay,
    HANDED_OVER: stay,
    ANSWERED: (_, i) => (i.retireHookMs === undefined ? ANSWERED : to({ kind: 'FAILED', hookTimeoutMs: i.retireHookMs })),
    CONCLUDED: stay,
    FREE: stay,
    FINISHED: stay,
    STOP_GRACEFUL: (_, i) => follow(i.plan, i.plan.nowMs),
    KILL_ORDERED: (_, i) => kill(i.end),
    STOP_INSTANCE: stay, // only what runs nothing is stopped this way
    EXTEND: notStopping,
    HOOK_ENDED: stay,
    DUE: () => kill({ kind: 'TIMED_OUT' }),
    LEADER_EXITED: (_, i) => sweep(exited(i)),
    GROUP_ENDED: stay,
    SWEPT: stay,
  },
  ANSWERED: {
    LOADED: stay,
    START_FAILED: stay,
    HANDED_OVER: stay,
    ANSWERED: stay,
    CONCLUDED: (_, i) => (i.isFree ? CONCLUDED : SETTLING),
    FREE: stay,
    FINISHED: stay,
    STOP_GRACEFUL: stay, // what happened wins over what is requested
    KILL_ORDERED: stay,
    STOP_INSTANCE: stay,
    EXTEND: notStopping,
    HOOK_ENDED: stay,
    DUE: stay, // it answered in time
    LEADER_EXITED: () => sweep({ kind: 'ANSWERED' }),
    GROUP_ENDED: stay,
    SWEPT: stay,
  },
  FAILED: {
    LOADED: stay,
    START_FAILED: stay,
    HANDED_OVER: stay,
    ANSWERED: stay,
    CONCLUDED: (s, i) => {
      const step = retire(HAS_ANSWERED, LEAVE_POLICY, s.hookTimeoutMs, i.nowMs);
      return { ...step, effects: [{ kind: 'SET_ASIDE' }, ...step.effects] };
    },
    FREE: stay,
    FINISHED: stay,
    STOP_GRACEFUL: stay,
    KILL_ORDERED: () => kill(HAS_ANSWERED),
    STOP_INSTANCE: stay,
    EXTEND: notStopping,
    HOOK_ENDED: stay,
    DUE: stay,
    LEADER_EXITED: () => sweep({ kind: 'ANSWERED' }),
    GROUP_ENDED: stay,
    SWEPT: stay,
  },
  SETTLING: {
    LOADED: stay,
    START_FAILED: stay,
    HANDED_OVER: stay,
    ANSWERED: stay,
    CONCLUDED: stay,
    FREE: () => to({ kind: 'IDLE' }, { kind: 'ANNOUNCE_FREE' }),
    FINISHED: stay,
    STOP_GRACEFUL: stay,
    KILL_ORDERED: () => kill(RETIRED),
    STOP_INSTANCE: stopIdle,
    EXTEND: notStopping,
    HOOK_ENDED: stay,
    DUE: stay,
    LEADER_EXITED: (_, i) => sweep(exited(i)),
    GROUP_ENDED: stay,
    SWEPT: stay,
  },
  TERMINATING: {
    LOADED: stay,
    START_FAILED: stay,
    HANDED_OVER: stay,
    ANSWERED: (s, i) => answerStop(s, i.nowMs),
    CONCLUDED: stay,
    FREE: stay,
    FINISHED: stay,
    STOP_GRACEFUL: (s, i) => follow(shortenPlan(s.plan, i.plan), i.plan.nowMs, s.left),
    KILL_ORDERED: (s, i) => (s.left ? killRest(i.end) : kill(i.end)),
    STOP_INSTANCE: stay,
    EXTEND: extend,
    HOOK_ENDED: stay,
    DUE: (s, i) => follow(s.plan, i.nowMs, s.left),
    LEADER_EXITED: (s, i) =>
      s.plan.scope === SignalScope.GROUP && i.groupLeft ? to({ ...s, left: exited(i) }, { kind: 'WATCH_GROUP' }) : sweep(exited(i)),
    GROUP_ENDED: (s) => (s.left ? sweep(s.left) : stay(s)),
    SWEPT: stay,
  },
  EXITING: {
    LOADED: stay,
    START_FAILED: stay,
    HANDED_OVER: stay,
    ANSWERED: stay,
    CONCLUDED: stay,
    FREE: stay,
    FINISHED: endExit,
    STOP_GRACEFUL: (s, i) => shortenExit(s, i.plan),
    KILL_ORDERED: endExit, // what happened wins over what was requested
    STOP_INSTANCE: stay,
    EXTEND: hasAnswered,
    HOOK_ENDED: stay,
    DUE: (s, i) => (i.nowMs >= s.dueMs ? endExit(s) : to(s, { kind: 'ARM', dueMs: s.dueMs })),
    LEADER_EXITED: (s, i) =>
      s.scope === SignalScope.GROUP && i.groupLeft ? to({ ...s, isLeft: true }, { kind: 'WATCH_GROUP' }) : sweep(HAS_ANSWERED),
    GROUP_ENDED: (s) => (s.isLeft ? sweep(HAS_ANSWERED) : stay(s)),
    SWEPT: stay,
  },
  HOOKING: {
    LOADED: stay,
    START_FAILED: stay,
    HANDED_OVER: stay,
    ANSWERED: stay,
    CONCLUDED: stay,
    FREE: stay,
    FINISHED: stay,
    STOP_GRACEFUL: stay,
    KILL_ORDERED: (s) => kill(s.end),
    STOP_INSTANCE: stay,
    EXTEND: notStopping,
    HOOK_ENDED: (s, i) => leave(s.policy, i.nowMs, s.end),
    DUE: (s, i) => leave(s.policy, i.nowMs, s.end), // its failure never blocks the stop
    LEADER_EXITED: (s) => sweep(s.end),
    GROUP_ENDED: stay,
    SWEPT: stay,
  },
  LEAVING: {
    LOADED: stay,
    START_FAILED: stay,
    HANDED_OVER: stay,
    ANSWERED: stay,
    CONCLUDED: stay,
    FREE: stay,
    FINISHED: stay,
    STOP_GRACEFUL: stay,
    KILL_ORDERED: (s) => kill(s.end),
    STOP_INSTANCE: stay,
    EXTEND: notStopping,
    HOOK_ENDED: stay,
    DUE: (s, i) => followLeave(s.plan, i.nowMs, s.end),
    LEADER_EXITED: (s) => sweep(s.end),
    GROUP_ENDED: stay,
    SWEPT: stay,
  },
  KILLING: {
    LOADED: stay,
    START_FAILED: stay,
    HANDED_OVER: stay,
    ANSWERED: stay, // too late: SIGKILL was sent before it was read
    CONCLUDED: stay,
    FREE: stay,
    FINISHED: stay,
    STOP_GRACEFUL: stay,
    KILL_ORDERED: stay, // the first reason wins
    STOP_INSTANCE: stay,
    EXTEND: stay,
    HOOK_ENDED: stay,
    DUE: stay,
    // What happened wins over what was requested: it may have exited by itself just before.
    LEADER_EXITED: (s, i) => sweep(s.end.kind === 'FORCE_KILLED' && i.signal !== 'SIGKILL' ? exited(i) : s.end),
    GROUP_ENDED: stay,
    SWEPT: stay,
  },
  SWEEPING: {
    LOADED: stay,
    START_FAILED: stay,
    HANDED_OVER: stay,
    ANSWERED: (s) => (s.end.kind === 'EXITED' || s.end.kind === 'DIED_OF' ? to({ kind: 'SWEEPING', end: { kind: 'ANSWERED' } }) : stay(s)),
    CONCLUDED: stay,
    FREE: stay,
    FINISHED: stay,
    STOP_GRACEFUL: stay,
    KILL_ORDERED: stay,
    STOP_INSTANCE: stay,
    EXTEND: stay,
    HOOK_ENDED: stay,
    DUE: stay,
    LEADER_EXITED: stay,
    GROUP_ENDED: stay,
    SWEPT: (s) => to({ kind: 'GONE', end: s.end }, { kind: 'FINISH', end: s.end }),
  },
  GONE: {
    LOADED: stay,
    START_FAILED: stay,
    HANDED_OVER: stay,
    ANSWERED: stay,
    CONCLUDED: stay,
    FREE: stay,
    FINISHED: stay,
    STOP_GRACEFUL: stay,
    KILL_ORDERED: stay,
    STOP_INSTANCE: stay,
    EXTEND: stay,
    HOOK_ENDED: stay,
    DUE: stay,
    LEADER_EXITED: stay,
    GROUP_ENDED: stay,
    SWEPT: stay,
  },
};

/** Advances the life of one instance by one input. Pure: the caller performs the effects, in order. */
export function advance(state: LifeState, input: LifeInput): LifeStep {
  // The table is total by type; the cast only joins the two lookups TypeScript cannot correlate.
  const cell = table[state.kind][input.kind] as Cell<LifeState['kind'], LifeInput['kind']>;
  return cell(state, input);
}
