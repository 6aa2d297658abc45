import type { FunctionMessage, Hook } from '@evenfall/contracts/v1/function';
import { DURATIONS, msOr } from './durations.ts';

type Times = Pick<FunctionMessage, 'timeout' | 'initTimeout'>;

/** The longest that a function runs for a synchronous call, whatever its timeout. */
export const MOST_CALL_MS = 900_000;
/** What a synchronous call takes beside its parts, in milliseconds. */
const CALL_SLACK_MS = 15_000;

/** How long one attempt of a function may take, in milliseconds. */
export function timeoutMsOf({ timeout }: Pick<Times, 'timeout'>): number {
  return msOr(timeout, DURATIONS.timeout);
}

/** How long a start of a function may take, in milliseconds. */
export function initTimeoutMsOf({ initTimeout }: Pick<Times, 'initTimeout'>): number {
  return msOr(initTimeout, DURATIONS.initTimeout);
}

/** How long a hook may take, in milliseconds. */
export function hookTimeoutMsOf({ timeout }: Pick<Hook, 'timeout'>): number {
  return msOr(timeout, DURATIONS.hookTimeout);
}

/** How long an attempt may take: the timeout of its function, of a synchronous call at most 900 s. */
export function attemptTimeoutMs(timeoutMs: number, isSynchronous: boolean): number {
  return isSynchronous ? Math.min(timeoutMs, MOST_CALL_MS) : timeoutMs;
}

/** How long a synchronous call may take from the request to its answer, with every wait in it at its longest. */
export function callTimeoutMs(queueMs: number, fn: Times): number {
  return queueMs + initTimeoutMsOf(fn) + attemptTimeoutMs(timeoutMsOf(fn), true) + CALL_SLACK_MS;
}
