import type { KillSignal } from '@evenfall/contracts/v1/termination';
import type { Ending, StartFault } from './ending.ts';
import { extendPlan, LEAVE_POLICY, planOf, type ResolvedPolicy, shortenPlan, type TerminationPlan } from './termination-plan.ts';

export type { Ending, StartFault };

export type LifeState =
  /** Code is pulled, the runtime starts, the function is loaded, the Initializer runs. */
  | { readonly kind: 'STARTING' }
  | { readonly kind: 'IDLE' }
  | { readonly kind: 'BUSY' }
  /** The answer is there; the last lines written before it may not be. */
  | { readonly kind: 'ANSWERED' }
  /** Asked to stop, with time to do so. */
  | { readonly kind: 'TERMINATING'; readonly plan: TerminationPlan }
  /** Idle and about to be stopped: its PreStop hook runs. */
  | { readonly kind: 'HOOKING'; readonly policy: ResolvedPolicy }
  /** Was idle, was sent a signal. */
  | { readonly kind: 'LEAVING'; readonly plan: TerminationPlan }
  /** SIGKILL is out; the leader is not gone yet. */
  | { readonly kind: 'KILLING'; readonly ending: Ending }
  /** The leader is gone, the group may not be: a grandchild can have a session of its own. */
  | { readonly kind: 'SWEEPING'; readonly ending: Ending }
  | { readonly kind: 'GONE'; readonly ending: Ending };

export type LifeInput =
  | { readonly kind: 'LOADED' }
  | { readonly kind: 'START_FAILED'; readonly fault: StartFault }
  | { readonly kind: 'HANDED_OVER' }
  /** `retire`: the instance may not be used again. */
  | { readonly kind: 'ANSWERED'; readonly retire: boolean }
  | { readonly kind: 'CONCLUDED' }
  | { readonly kind: 'STOP_GRACEFUL'; readonly plan: TerminationPlan }
  /** Kill now: forced, out of memory, lost, drained. */
  | { readonly kind: 'KILL_ORDERED'; readonly ending: Ending }
  /** Stop an instance that runs nothing. */
  | {
      readonly kind: 'STOP_INSTANCE';
      readonly nowMs: number;
      /** 0 without a hook. */
      readonly hookTimeoutMs: number;
      /** SIGTERM and 50 ms if it is left out. */
      readonly policy?: ResolvedPolicy;
    }
  /** The function asks for more time. */
  | { readonly kind: 'EXTEND'; readonly nowMs: number; readonly ms: number }
  | { readonly kind: 'HOOK_ENDED'; readonly nowMs: number }
  /** The instance's one deadline has passed: what that means depends on the state. */
  | { readonly kind: 'DUE'; readonly nowMs: number }
  | { readonly kind: 'LEADER_EXITED'; readonly exitCode: number | null; readonly signal: string | null }
  | { readonly kind: 'SWEPT' };

export type LifeEffect =
  | { readonly kind: 'ARM'; readonly dueMs: number }
  | { readonly kind: 'ANNOUNCE_READY' }
  | { readonly kind: 'CONCLUDE' }
  | { readonly kind: 'RUN_PRE_STOP' }
  | { readonly kind: 'SEND_SIGNAL'; readonly signal: KillSignal }
  /** To an idle instance: no receipt is written. */
  | { readonly kind: 'SEND_LEAVE'; readonly signal: KillSignal }
  /** The function is told whether it got the time. `reason` is empty if it got all of it. */
  | { readonly kind: 'TELL_EXTENSION'; readonly requestedMs: number; readonly grantedMs: number; readonly reason: string }
  | { readonly kind: 'KILL_GROUP' }
  | { readonly kind: 'SWEEP' }
  /** Reports the attempt, if there is one, and that the instance is gone. */
  | { readonly kind: 'FINISH'; readonly ending: Ending };

export type LifeStep = { readonly state: LifeState; readonly effects: readonly LifeEffect[] };

type Cell<S, I> = (state: Extract<LifeState, { kind: S }>, input: Extract<LifeInput, { kind: I }>) => LifeStep;
type Table = { readonly [S in LifeState['kind']]: { readonly [I in LifeInput['kind']]: Cell<S, I> } };

const NO_EFFECTS: readonly LifeEffect[] = [];
const to = (state: LifeState, ...effects: readonly LifeEffect[]): LifeStep => ({ state, effects });
const stay = (state: LifeState): LifeStep => ({ state, effects: NO_EFFECTS });
const kill = (ending: Ending): LifeStep => to({ kind: 'KILLING', ending }, { kind: 'KILL_GROUP' });
const sweep = (ending: Ending): LifeStep => to({ kind: 'SWEEPING', ending }, { kind: 'SWEEP' });
const leave = (policy: ResolvedPolicy, nowMs: number): LifeStep => followLeave(planOf(policy, nowMs), nowMs);
const exited = (input: { exitCode: number | null; signal: string | null }): Ending =>
  input.signal === null ? { kind: 'EXITED', exitCode: input.exitCode ?? 0 } : { kind: 'DIED_OF', signal: input.signal };

// The three steps of an event that simply runs; made once, because they are taken for every event.
const BUSY: LifeStep = to({ kind: 'BUSY' });
const ANSWERED: LifeStep = to({ kind: 'ANSWERED' });
const CONCLUDED: LifeStep = to({ kind: 'IDLE' }, { kind: 'CONCLUDE' });
const RETIRED: Ending = { kind: 'RETIRED' };

/** Carries a plan on: sends the step that is due, or kills. */
function follow(plan: TerminationPlan, nowMs: number): LifeStep {
  if (nowMs >= plan.killAtMs) return kill(plan.ending);
  const { rest, signal, dueMs } = next(plan, nowMs);
  const state: LifeState = { kind: 'TERMINATING', plan: rest };
  return signal === undefined ? to(state, { kind: 'ARM', dueMs }) : to(state, { kind: 'SEND_SIGNAL', signal }, { kind: 'ARM', dueMs });
}

/** The same for an instance that runs nothing. */
function followLeave(plan: TerminationPlan, nowMs: number): LifeStep {
  if (nowMs >= plan.killAtMs) return kill(RETIRED);
  const { rest, signal, dueMs } = next(plan, nowMs);
  const state: LifeState = { kind: 'LEAVING', plan: rest };
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
  to(state, { kind: 'TELL_EXTENSION', requestedMs: ms, grantedMs: 0, reason: 'The event is not being stopped gracefully' });

function extend(planned: TerminationPlan, { ms, nowMs }: Extract<LifeInput, { kind: 'EXTEND' }>): LifeStep {
  const { plan, grantedMs, reason } = extendPlan(planned, nowMs, ms);
  const dueMs = Math.min(plan.steps[0]?.atMs ?? plan.killAtMs, plan.killAtMs);
  return to({ kind: 'TERMINATING', plan }, { kind: 'ARM', dueMs }, { kind: 'TELL_EXTENSION', requestedMs: ms, grantedMs, reason });
}

const table: Table = {
  STARTING: {
    LOADED: () => to({ kind: 'IDLE' }, { kind: 'ANNOUNCE_READY' }),
    START_FAILED: (_, i) => kill({ kind: 'START_FAILED', fault: i.fault }),
    HANDED_OVER: stay,
    ANSWERED: stay,
    CONCLUDED: stay,
    STOP_GRACEFUL: stay,
    KILL_ORDERED: (_, i) => kill(i.ending),
    STOP_INSTANCE: () => kill(RETIRED),
    EXTEND: notStopping,
    HOOK_ENDED: stay,
    DUE: () => kill({ kind: 'START_FAILED', fault: { statusCode: 450, message: 'The instance did not start within its init timeout' } }),
    LEADER_EXITED: (_, i) => sweep(exited(i)),
    SWEPT: stay,
  },
  IDLE: {
    LOADED: stay,
    START_FAILED: stay,
    HANDED_OVER: () => BUSY,
    ANSWERED: stay,
    CONCLUDED: stay,
    STOP_GRACEFUL: stay,
    KILL_ORDERED: () => kill(RETIRED),
    STOP_INSTANCE: (_, i) => {
      const policy = i.policy ?? LEAVE_POLICY;
      if (i.hookTimeoutMs <= 0) return leave(policy, i.nowMs);
      return to({ kind: 'HOOKING', policy }, { kind: 'RUN_PRE_STOP' }, { kind: 'ARM', dueMs: i.nowMs + i.hookTimeoutMs });
    },
    EXTEND: notStopping,
    HOOK_ENDED: stay,
    DUE: stay, // an old deadline of an event that has ended
    LEADER_EXITED: (_, i) => sweep(exited(i)),
    SWEPT: stay,
  },
  BUSY: {
    LOADED: stay,
    START_FAILED: stay,
    HANDED_OVER: stay,
    ANSWERED: (_, i) => (i.retire ? kill({ kind: 'ANSWERED' }) : ANSWERED),
    CONCLUDED: stay,
    STOP_GRACEFUL: (_, i) => follow(i.plan, i.plan.nowMs),
    KILL_ORDERED: (_, i) => kill(i.ending),
    STOP_INSTANCE: stay, // only what runs nothing is stopped this way
    EXTEND: notStopping,
    HOOK_ENDED: stay,
    DUE: () => kill({ kind: 'TIMED_OUT' }),
    LEADER_EXITED: (_, i) => sweep(exited(i)),
    SWEPT: stay,
  },
  ANSWERED: {
    LOADED: stay,
    START_FAILED: stay,
    HANDED_OVER: stay,
    ANSWERED: stay,
    CONCLUDED: () => CONCLUDED,
    STOP_GRACEFUL: stay, // what happened wins over what is asked
    KILL_ORDERED: stay,
    STOP_INSTANCE: stay,
    EXTEND: notStopping,
    HOOK_ENDED: stay,
    DUE: stay, // it answered in time
    LEADER_EXITED: () => sweep({ kind: 'ANSWERED' }),
    SWEPT: stay,
  },
  TERMINATING: {
    LOADED: stay,
    START_FAILED: stay,
    HANDED_OVER: stay,
    ANSWERED: () => kill({ kind: 'ANSWERED' }), // never used again: a flag its handler set would end the next event too
    CONCLUDED: stay,
    STOP_GRACEFUL: (s, i) => follow(shortenPlan(s.plan, i.plan), i.plan.nowMs),
    KILL_ORDERED: (_, i) => kill(i.ending),
    STOP_INSTANCE: stay,
    EXTEND: (s, i) => extend(s.plan, i),
    HOOK_ENDED: stay,
    DUE: (s, i) => follow(s.plan, i.nowMs),
    LEADER_EXITED: (_, i) => sweep(exited(i)),
    SWEPT: stay,
  },
  HOOKING: {
    LOADED: stay,
    START_FAILED: stay,
    HANDED_OVER: stay,
    ANSWERED: stay,
    CONCLUDED: stay,
    STOP_GRACEFUL: stay,
    KILL_ORDERED: () => kill(RETIRED),
    STOP_INSTANCE: stay,
    EXTEND: notStopping,
    HOOK_ENDED: (s, i) => leave(s.policy, i.nowMs),
    DUE: (s, i) => leave(s.policy, i.nowMs), // its failure never blocks the stop
    LEADER_EXITED: () => sweep(RETIRED),
    SWEPT: stay,
  },
  LEAVING: {
    LOADED: stay,
    START_FAILED: stay,
    HANDED_OVER: stay,
    ANSWERED: stay,
    CONCLUDED: stay,
    STOP_GRACEFUL: stay,
    KILL_ORDERED: () => kill(RETIRED),
    STOP_INSTANCE: stay,
    EXTEND: notStopping,
    HOOK_ENDED: stay,
    DUE: (s, i) => followLeave(s.plan, i.nowMs),
    LEADER_EXITED: () => sweep(RETIRED),
    SWEPT: stay,
  },
  KILLING: {
    LOADED: stay,
    START_FAILED: stay,
    HANDED_OVER: stay,
    ANSWERED: stay, // too late: SIGKILL was out before it was read
    CONCLUDED: stay,
    STOP_GRACEFUL: stay,
    KILL_ORDERED: stay, // the first reason wins
    STOP_INSTANCE: stay,
    EXTEND: stay,
    HOOK_ENDED: stay,
    DUE: stay,
    // What happened wins over what was asked: it may have left by itself just before.
    LEADER_EXITED: (s, i) => sweep(s.ending.kind === 'FORCE_KILLED' && i.signal !== 'SIGKILL' ? exited(i) : s.ending),
    SWEPT: stay,
  },
  SWEEPING: {
    LOADED: stay,
    START_FAILED: stay,
    HANDED_OVER: stay,
    ANSWERED: (s) =>
      s.ending.kind === 'EXITED' || s.ending.kind === 'DIED_OF' ? to({ kind: 'SWEEPING', ending: { kind: 'ANSWERED' } }) : stay(s),
    CONCLUDED: stay,
    STOP_GRACEFUL: stay,
    KILL_ORDERED: stay,
    STOP_INSTANCE: stay,
    EXTEND: stay,
    HOOK_ENDED: stay,
    DUE: stay,
    LEADER_EXITED: stay,
    SWEPT: (s) => to({ kind: 'GONE', ending: s.ending }, { kind: 'FINISH', ending: s.ending }),
  },
  GONE: {
    LOADED: stay,
    START_FAILED: stay,
    HANDED_OVER: stay,
    ANSWERED: stay,
    CONCLUDED: stay,
    STOP_GRACEFUL: stay,
    KILL_ORDERED: stay,
    STOP_INSTANCE: stay,
    EXTEND: stay,
    HOOK_ENDED: stay,
    DUE: stay,
    LEADER_EXITED: stay,
    SWEPT: stay,
  },
};

/** Advances the life of one instance by one input. Pure: the caller performs the effects, in order. */
export function advance(state: LifeState, input: LifeInput): LifeStep {
  // The table is total by type; the cast only joins the two lookups TypeScript cannot correlate.
  const cell = table[state.kind][input.kind] as Cell<LifeState['kind'], LifeInput['kind']>;
  return cell(state, input);
}
