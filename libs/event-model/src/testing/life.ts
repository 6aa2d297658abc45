import { AttemptResult, type AttemptStarted, SignalSent, StopReceipt } from '@evenfall/contracts/attempt/v1/attempt';
import { AcceptedEvent, type EventRecord } from '@evenfall/contracts/log/v1/record';
import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import {
  Termination_Cause as Cause,
  Termination_Mode as Mode,
  Termination_Outcome as StopOutcome,
  TerminationStep,
  TerminationPolicy,
} from '@evenfall/contracts/v1/termination';
import { isRefusal } from '@evenfall/errors';
import { type Command, decide, evolve } from '../index.ts';

export const ID = '00000000-0000-7000-8000-000000000001';
export const START_MS = Date.UTC(2026, 0, 1);

/** One event with a clock: commands in, records and refusals out. */
export type Life = {
  nowMs: number;
  folded: FoldedEvent | undefined;
  readonly records: EventRecord[];
  /** Carries a command out; answers the names of the changes, or the refusal's reason. */
  run(attempt: number, command: Command): string[];
};

export function acceptedRecord(policy: Partial<AcceptedEvent['policy'] & object> = {}): EventRecord {
  const value = AcceptedEvent.create({
    namespace: 'default',
    function: 'f',
    qualifier: '$LATEST',
    version: '$LATEST',
    trigger: 'api',
    payload: Buffer.from('{}'),
    policy: { maxRetries: 2, retryIntervalMs: 60_000, maxEventAgeMs: 21_600_000, maxGracePeriodMs: 600_000, ...policy },
  });
  return { eventId: ID, attempt: 0, time: new Date(START_MS), writerId: 'w', change: { $case: 'accepted', value } };
}

export function newLife(policy: Partial<AcceptedEvent['policy'] & object> = {}): Life {
  const first = acceptedRecord(policy);
  const life: Life = {
    nowMs: START_MS,
    folded: evolve(undefined, first),
    records: [first],
    run(attempt, command) {
      if (!life.folded) return [];
      const changes = decide(life.folded, command, life.nowMs);
      if (isRefusal(changes)) return [changes.reason];
      for (const change of changes) {
        const record: EventRecord = { eventId: ID, attempt, time: new Date(life.nowMs), writerId: 'w', change };
        life.records.push(record);
        life.folded = evolve(life.folded, record);
      }
      return changes.map((change) => change.$case);
    },
  };
  return life;
}

export const started: AttemptStarted = {
  instanceId: 'i-1',
  agentId: 'a-1',
  coldStart: false,
  coldStartDetail: undefined,
  startTime: new Date(START_MS),
  memoryMb: 128,
};

export type ResultName =
  | 'returned'
  | 'threw'
  | 'exited'
  | 'timed_out'
  | 'lost'
  | 'start_failed'
  | 'killed'
  | 'returned_after_signal'
  | 'died_of_signal'
  | 'ended_before_signal';

const ENDINGS: Readonly<Record<ResultName, { outcome: Outcome; statusCode: number; stop?: StopOutcome }>> = {
  returned: { outcome: Outcome.RETURNED, statusCode: 200 },
  threw: { outcome: Outcome.THREW, statusCode: 430 },
  exited: { outcome: Outcome.EXITED, statusCode: 439 },
  timed_out: { outcome: Outcome.TIMED_OUT, statusCode: 433 },
  lost: { outcome: Outcome.LOST, statusCode: 500 },
  start_failed: { outcome: Outcome.START_FAILED, statusCode: 450 },
  killed: { outcome: Outcome.FORCE_KILLED, statusCode: 499, stop: StopOutcome.FORCE_KILLED },
  returned_after_signal: { outcome: Outcome.RETURNED, statusCode: 200, stop: StopOutcome.RETURNED },
  died_of_signal: { outcome: Outcome.DIED_OF, statusCode: 439, stop: StopOutcome.DIED_OF },
  ended_before_signal: { outcome: Outcome.RETURNED, statusCode: 200, stop: StopOutcome.ENDED_BEFORE_SIGNAL },
};

export const RESULT_NAMES = Object.keys(ENDINGS) as ResultName[];

export function endedAs(ending: ResultName, nowMs: number): AttemptResult {
  const { outcome, statusCode, stop } = ENDINGS[ending];
  return AttemptResult.create({
    outcome,
    statusCode,
    result: statusCode === 200 ? Buffer.from('"END"') : Buffer.alloc(0),
    endTime: new Date(nowMs),
    durationMs: 1,
    ...(stop === undefined ? {} : { stop: StopReceipt.create({ outcome: stop }) }),
  });
}

export function terminateCommand(graceful: boolean, dispatched: boolean, graceMs?: number): Command {
  const policy =
    graceMs === undefined
      ? undefined
      : ({
          killSignal: 0,
          gracePeriod: { seconds: BigInt(Math.floor(graceMs / 1000)), nanos: 0 },
          maxGracePeriod: undefined,
          escalation: [],
          signalScope: 0,
        } as const);
  const request = {
    cause: Cause.USER,
    mode: graceful ? Mode.GRACEFUL : Mode.FORCE,
    policy: policy && TerminationPolicy.create({ ...policy, escalation: [] }),
    requester: 'anonymous',
    reason: '',
    audit: undefined,
  };
  return { kind: 'TERMINATE', dispatched, request };
}

export function signalSent(nowMs: number): SignalSent {
  return SignalSent.create({ step: TerminationStep.create({ signal: 15, sentTime: new Date(nowMs), disposition: 1, delivery: 1 }) });
}
