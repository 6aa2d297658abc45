import type { KillSignal, SignalScope } from '@evenfall/contracts/v1/termination';
import type { InstanceEnd, StartFault } from './instance-end.ts';
import type { ResolvedPolicy, TerminationPlan } from './termination-plan.ts';

/**
 * The states of an instance; `instance-life.ts` has the transitions as a total table.
 *
 *   STARTING -> IDLE -> BUSY -> ANSWERED -> IDLE, or SETTLING -> IDLE where its runtime is not free at once
 *   BUSY -> FAILED -> HOOKING -> LEAVING -> SWEEPING -> GONE, after an answer that retires it; IDLE and SETTLING go that way when it is stopped
 *   BUSY -> TERMINATING -> EXITING -> SWEEPING -> GONE, when its attempt is stopped gracefully
 *   every state before SWEEPING -> KILLING -> SWEEPING -> GONE, when it is killed; or directly to SWEEPING, when its leader exits
 */
export type LifeState =
  /** Code is pulled, the runtime starts, the function is loaded, the Initializer runs. */
  | { readonly kind: 'STARTING' }
  | { readonly kind: 'IDLE' }
  | { readonly kind: 'BUSY' }
  /** It has answered; the last lines written before that may not have been read. */
  | { readonly kind: 'ANSWERED' }
  /** The same for an answer after which the instance is retired. */
  | { readonly kind: 'FAILED'; readonly hookTimeoutMs: number }
  /** Its attempt is over; its runtime is not free for the next one yet. */
  | { readonly kind: 'SETTLING' }
  /** It is being stopped, with time to do so. `left` is how the leader ended where the rest of its group still has that time. */
  | { readonly kind: 'TERMINATING'; readonly plan: TerminationPlan; readonly left?: InstanceEnd }
  /** It answered while it was being stopped, and has time to exit by itself. `isLeft`: its leader has exited, the rest of the group has not. */
  | { readonly kind: 'EXITING'; readonly dueMs: number; readonly scope: SignalScope; readonly isLeft: boolean }
  /** About to be stopped with nothing left to run: its PreStop hook runs. `end`: of an attempt that failed on it, else RETIRED. */
  | { readonly kind: 'HOOKING'; readonly policy: ResolvedPolicy; readonly end: InstanceEnd }
  /** It runs no attempt and was sent a signal. */
  | { readonly kind: 'LEAVING'; readonly plan: TerminationPlan; readonly end: InstanceEnd }
  /** SIGKILL is sent; the leader has not exited yet. */
  | { readonly kind: 'KILLING'; readonly end: InstanceEnd }
  /** The leader has exited, other processes may not have: a grandchild can have a session of its own. */
  | { readonly kind: 'SWEEPING'; readonly end: InstanceEnd }
  | { readonly kind: 'GONE'; readonly end: InstanceEnd };

export type LifeInput =
  | { readonly kind: 'LOADED' }
  | { readonly kind: 'START_FAILED'; readonly fault: StartFault }
  | { readonly kind: 'HANDED_OVER' }
  /** `retireHookMs`: set if the instance may not be used again; the timeout of its PreStop hook, 0 without one. */
  | { readonly kind: 'ANSWERED'; readonly nowMs: number; readonly retireHookMs?: number }
  /** All that was written before the answer has been read. */
  | { readonly kind: 'CONCLUDED'; readonly nowMs: number; readonly isFree: boolean }
  /** The runtime is free for the next event. */
  | { readonly kind: 'FREE' }
  /** The runtime has finished with the event it answered and waits for another. */
  | { readonly kind: 'FINISHED' }
  | { readonly kind: 'STOP_GRACEFUL'; readonly plan: TerminationPlan }
  /** Kill now: forced, out of memory, lost, drained. */
  | { readonly kind: 'KILL_ORDERED'; readonly end: InstanceEnd }
  /** Stop an instance that runs nothing. */
  | {
      readonly kind: 'STOP_INSTANCE';
      readonly nowMs: number;
      /** 0 without a hook. */
      readonly hookTimeoutMs: number;
      /** SIGTERM and 50 ms without one. */
      readonly policy?: ResolvedPolicy;
    }
  /** The function requests more time. */
  | { readonly kind: 'EXTEND'; readonly nowMs: number; readonly ms: number }
  | { readonly kind: 'HOOK_ENDED'; readonly nowMs: number }
  /** The instance's one deadline has passed: what that means depends on the state. */
  | { readonly kind: 'DUE'; readonly nowMs: number }
  /** `groupLeft`: other processes of its group live. */
  | { readonly kind: 'LEADER_EXITED'; readonly exitCode: number | null; readonly signal: string | null; readonly groupLeft?: boolean }
  /** The last process of the group has ended, after the leader. */
  | { readonly kind: 'GROUP_ENDED' }
  | { readonly kind: 'SWEPT' };

export type LifeEffect =
  | { readonly kind: 'ARM'; readonly dueMs: number }
  | { readonly kind: 'ANNOUNCE_READY' }
  /** Reports the attempt. */
  | { readonly kind: 'CONCLUDE' }
  /** The runtime is free after the attempt was reported. */
  | { readonly kind: 'ANNOUNCE_FREE' }
  /** Keeps the attempt, which has answered, for its report when the instance is gone. */
  | { readonly kind: 'SET_ASIDE' }
  /** Has the runtime exit: no other event comes. */
  | { readonly kind: 'ASK_TO_EXIT' }
  /** Feeds GROUP_ENDED when the group has ended. */
  | { readonly kind: 'WATCH_GROUP' }
  | { readonly kind: 'RUN_PRE_STOP' }
  | { readonly kind: 'SEND_SIGNAL'; readonly signal: KillSignal }
  /** To an idle instance: no receipt is written. */
  | { readonly kind: 'SEND_LEAVE'; readonly signal: KillSignal }
  /** Answers the function how much time it got. `reason` is empty if it got all of it. */
  | { readonly kind: 'ANSWER_EXTENSION'; readonly requestedMs: number; readonly grantedMs: number; readonly reason: string }
  | { readonly kind: 'KILL_GROUP' }
  | { readonly kind: 'SWEEP' }
  /** Reports the attempt, if there is one, and that the instance is gone. */
  | { readonly kind: 'FINISH'; readonly end: InstanceEnd };

export type LifeStep = { readonly state: LifeState; readonly effects: readonly LifeEffect[] };
