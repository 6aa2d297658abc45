import type { KillSignal } from '@evenfall/contracts/v1/termination';
import type { TerminationPlan } from './termination-plan.ts';

/** How an instance came to its end, and with it the attempt it ran. */
export type Ending =
  /** Its attempt had answered; what it answered is kept beside the state. */
  | { readonly kind: 'ANSWERED' }
  | { readonly kind: 'EXITED'; readonly exitCode: number }
  | { readonly kind: 'DIED_OF'; readonly signal: string }
  | { readonly kind: 'FORCE_KILLED' }
  | { readonly kind: 'TIMED_OUT' }
  | { readonly kind: 'OUT_OF_MEMORY' }
  | { readonly kind: 'LOST' }
  | { readonly kind: 'DRAINED' }
  | { readonly kind: 'START_FAILED'; readonly fault: StartFault }
  /** It ran nothing and was stopped in order. */
  | { readonly kind: 'RETIRED' };

/** Why an instance never became ready. */
export type StartFault = {
  readonly statusCode: number;
  readonly message: string;
  /** JSON text, where the runtime wrote it. */ readonly error?: Buffer;
};

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
  | { readonly kind: 'HOOKING' }
  /** Was idle, was sent SIGTERM. */
  | { readonly kind: 'LEAVING' }
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
  | { readonly kind: 'STOP_INSTANCE'; readonly nowMs: number; /** 0 without a hook. */ readonly hookTimeoutMs: number }
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
  /** SIGTERM to an idle instance: no receipt is written. */
  | { readonly kind: 'SEND_LEAVE' }
  | { readonly kind: 'KILL_GROUP' }
  | { readonly kind: 'SWEEP' }
  /** Reports the attempt, if there is one, and that the instance is gone. */
  | { readonly kind: 'FINISH'; readonly ending: Ending };

export type LifeStep = { readonly state: LifeState; readonly effects: readonly LifeEffect[] };

type Cell<S, I> = (state: Extract<LifeState, { kind: S }>, input: Extract<LifeInput, { kind: I }>) => LifeStep;
type Table = { readonly [S in LifeState['kind']]: { readonly [I in LifeInput['kind']]: Cell<S, I> } };

/** What an idle instance gets between SIGTERM and SIGKILL (SCF: unconditional, not configurable). */
export const LEAVE_GRACE_MS = 50;

const NO_EFFECTS: readonly LifeEffect[] = [];
const to = (state: LifeState, ...effects: readonly LifeEffect[]): LifeStep => ({ state, effects });
const stay = (state: LifeState): LifeStep => ({ state, effects: NO_EFFECTS });
const kill = (ending: Ending): LifeStep => to({ kind: 'KILLING', ending }, { kind: 'KILL_GROUP' });
const sweep = (ending: Ending): LifeStep => to({ kind: 'SWEEPING', ending }, { kind: 'SWEEP' });
const leave = (nowMs: number): LifeStep => to({ kind: 'LEAVING' }, { kind: 'SEND_LEAVE' }, { kind: 'ARM', dueMs: nowMs + LEAVE_GRACE_MS });
const exited = (input: { exitCode: number | null; signal: string | null }): Ending =>
  input.signal === null ? { kind: 'EXITED', exitCode: input.exitCode ?? 0 } : { kind: 'DIED_OF', signal: input.signal };

// The three steps of an event that simply runs; made once, because they are taken for every event.
const BUSY: LifeStep = to({ kind: 'BUSY' });
const ANSWERED: LifeStep = to({ kind: 'ANSWERED' });
const CONCLUDED: LifeStep = to({ kind: 'IDLE' }, { kind: 'CONCLUDE' });
const RETIRED: Ending = { kind: 'RETIRED' };

/** Carries a plan on: sends the step that is due, or kills. */
function follow(plan: TerminationPlan, nowMs: number): LifeStep {
  const step = plan.steps[0];
  if (nowMs >= plan.killAtMs) return kill({ kind: 'FORCE_KILLED' });
  if (!step || nowMs < step.atMs)
    return to({ kind: 'TERMINATING', plan }, { kind: 'ARM', dueMs: Math.min(step?.atMs ?? plan.killAtMs, plan.killAtMs) });
  const rest: TerminationPlan = { ...plan, steps: plan.steps.slice(1) };
  const dueMs = Math.min(rest.steps[0]?.atMs ?? rest.killAtMs, rest.killAtMs);
  return to({ kind: 'TERMINATING', plan: rest }, { kind: 'SEND_SIGNAL', signal: step.signal }, { kind: 'ARM', dueMs });
}

/** Somebody may shorten what was planned, never stretch it; the signals stay those that were planned first. */
function shorten(planned: TerminationPlan, asked: TerminationPlan): LifeStep {
  const killAtMs = Math.min(planned.killAtMs, asked.killAtMs);
  return follow({ ...planned, killAtMs }, asked.nowMs);
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
    STOP_INSTANCE: (_, i) =>
      i.hookTimeoutMs > 0
        ? to({ kind: 'HOOKING' }, { kind: 'RUN_PRE_STOP' }, { kind: 'ARM', dueMs: i.nowMs + i.hookTimeoutMs })
        : leave(i.nowMs),
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
    STOP_GRACEFUL: (s, i) => shorten(s.plan, i.plan),
    KILL_ORDERED: (_, i) => kill(i.ending),
    STOP_INSTANCE: stay,
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
    HOOK_ENDED: (_, i) => leave(i.nowMs),
    DUE: (_, i) => leave(i.nowMs), // its failure never blocks the stop
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
    HOOK_ENDED: stay,
    DUE: () => kill(RETIRED),
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
