import { invalidField, type Refusal } from '@evenfall/errors';
import { durationOfMs, formatDuration, msOfDuration, type ProtoDuration } from '@evenfall/time';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Bounds of a duration in milliseconds, both included. */
export type Bounds = { readonly leastMs: number; readonly mostMs: number };
/** Bounds, and what holds where nothing is said. */
export type Defaulted = Bounds & { readonly defaultMs: number };

/** Every duration that a function or a call may set (semantics of the API, SCF's limits). */
export const DURATIONS = {
  /** One attempt. */
  timeout: { leastMs: SECOND, mostMs: 24 * HOUR, defaultMs: 3 * SECOND },
  /** A start: code, runtime and initializer. 65 s is SCF's. */
  initTimeout: { leastMs: 3 * SECOND, mostMs: 300 * SECOND, defaultMs: 65 * SECOND },
  /** An initializer or a PreStop hook. */
  hookTimeout: { leastMs: SECOND, mostMs: 300 * SECOND, defaultMs: 3 * SECOND },
  retryInterval: { leastMs: SECOND, mostMs: HOUR, defaultMs: MINUTE },
  maxEventAge: { leastMs: MINUTE, mostMs: 6 * HOUR, defaultMs: 6 * HOUR },
  /** Without one it is what is left of the timeout, which is known only when a termination is requested. */
  gracePeriod: { leastMs: 0, mostMs: 24 * HOUR },
  maxGracePeriod: { leastMs: 0, mostMs: 24 * HOUR, defaultMs: 10 * MINUTE },
  /** How long processes may take to exit by themselves once the handler has answered. */
  exitGrace: { leastMs: 0, mostMs: 24 * HOUR, defaultMs: 10 * SECOND },
  /** From one signal of an escalation to the next. */
  escalationWait: { leastMs: 0, mostMs: 10 * MINUTE },
  /** How long a synchronous call waits for an instance. */
  queueTimeout: { leastMs: 0, mostMs: 5 * MINUTE, defaultMs: 10 * SECOND },
  /** How long the attempts of a host that is drained have to end. */
  drainTimeout: { leastMs: 0, mostMs: 24 * HOUR },
} as const satisfies Readonly<Record<string, Bounds | Defaulted>>;

/** Why a duration is not one within its bounds: INVALID_FIELD; undefined if it is, or if none is given. */
export function durationRefusal(field: string, given: ProtoDuration | undefined, { leastMs, mostMs }: Bounds): Refusal | undefined {
  if (given === undefined) return undefined;
  const ms = msOfDuration(given);
  const isWithin = ms >= leastMs && ms <= mostMs && given.nanos >= 0 && given.nanos <= 999_999_999;
  return isWithin ? undefined : invalidField(field, `a duration from ${formatDuration(leastMs)} to ${formatDuration(mostMs)}`);
}

/** The duration, or its default. */
export function durationOr(given: ProtoDuration | undefined, { defaultMs }: Defaulted): ProtoDuration {
  return given ?? durationOfMs(defaultMs);
}

/** Its milliseconds, or those of its default: what was stored by an earlier release may be incomplete. */
export function msOr(given: ProtoDuration | undefined, { defaultMs }: Defaulted): number {
  return msOfDuration(given) ?? defaultMs;
}
