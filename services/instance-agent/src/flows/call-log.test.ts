import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AttemptResult, AttemptStarted, StopReceipt } from '@evenfall/contracts/attempt/v1/attempt';
import { AcceptedEvent } from '@evenfall/contracts/log/v1/record';
import { Attempt_Outcome as Outcome, Event_State as State } from '@evenfall/contracts/v1/event';
import { type LogLine, LogLine_Stream as Stream } from '@evenfall/contracts/v1/log_service';
import { Termination_Cause as Cause, Termination_Outcome as StopOutcome, TerminationStep } from '@evenfall/contracts/v1/termination';
import { evolve, mergeLog } from '@evenfall/event-model';
import { RETURNED } from '../domain/attempt-outcome.ts';
import fc from 'fast-check';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { StartInstance } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { Agent } from './agent.ts';
import { enterPhase, newAttempt } from './attempt.ts';
import { beginCallLog, endCallLog } from './call-log.ts';
import { newInstance } from './instance.ts';
import type { ReportingPhase, RunningPhase, StopRecord } from './types.ts';

const ID = '01990000-0000-7000-8000-000000000003';
const START_MS = Date.UTC(2026, 0, 1);

/** One run, as its agent reports it. */
type Run = { readonly started: AttemptStarted; readonly ended: AttemptResult };

/** The lines that an agent stores of a run for a synchronous call. */
function linesOfCall({ started, ended }: Run): LogLine[] {
  const lines: LogLine[] = [];
  // Only what the log of a call touches.
  const agent = { clock: { now: () => START_MS }, logs: { push: ({ line }: { line: LogLine }) => lines.push(line) } } as unknown as Agent;
  const fn = { ...FunctionMessage.create(), memoryMb: started.memoryMb };
  const instance = newInstance({ ...StartInstance.create(), instanceId: 'i' }, fn, START_MS);
  instance.memory.peakBytes = Number(ended.memoryBytes);
  const attempt = newAttempt({ eventId: ID, attempt: 1, partition: undefined, synchronous: true }, Buffer.alloc(0), instance);
  enterPhase(attempt, { kind: 'HANDED_OVER', instance, isRecalled: false, withdrawal: undefined });
  const start = { timeMs: START_MS, ms: 0, coldStart: started.coldStartDetail, isAhead: !started.coldStart, message: started };
  const stop = ended.stop && ({ steps: ended.stop.steps } as unknown as StopRecord); // of which the log reads no more
  const running = { kind: 'RUNNING', instance, start, wasWithdrawn: false, answer: undefined, stop } as const;
  enterPhase<RunningPhase>(attempt, running);
  beginCallLog(agent, instance, attempt, START_MS);
  attempt.log.lineCount += 1; // the function has written a line: a call that writes nothing stores nothing
  const outcome = RETURNED;
  const over = {
    kind: 'REPORTING',
    instance,
    start,
    answer: undefined,
    outcome,
    error: undefined,
    endTime: new Date(START_MS),
    endMs: 0,
    stop,
  } as const;
  endCallLog(agent, attempt, enterPhase<ReportingPhase>(attempt, over), ended);
  return lines;
}

/** The lines that the event-store renders of the same run for an asynchronous event. */
function linesOfEvent({ started, ended }: Run): LogLine[] {
  const record = { eventId: ID, time: new Date(START_MS), writerId: 'w' };
  const accepted = evolve(undefined, { ...record, attempt: 0, change: { $case: 'accepted', value: AcceptedEvent.create() } });
  const value = { started, attemptResult: ended, state: State.SUCCEEDED, retryTime: undefined };
  const event = evolve(accepted, { ...record, attempt: 1, change: { $case: 'attemptEnded', value } })?.event;
  assert.ok(event && event.attempts.length === 1);
  return mergeLog(event, []);
}

const ms = fc.oneof(fc.constantFrom(0, 0.2, 0.5, 1, 1.4), fc.double({ min: 0, max: 900_000, noNaN: true }));
const json = fc.oneof(
  fc.jsonValue().map((value) => JSON.stringify(value)),
  fc.integer({ min: 7_000, max: 20_000 }).map((length) => JSON.stringify('é'.repeat(length))),
);
const error = fc.oneof(
  fc.record({ errorMessage: fc.string(), stackTrace: fc.string({ maxLength: 200 }) }).map((fields) => JSON.stringify(fields)),
  json,
);
const runs = fc
  .record({
    cold: fc.option(fc.record({ pullCodeMs: ms, initRuntimeMs: ms, initFunctionMs: ms }), { nil: undefined }),
    isCold: fc.boolean(),
    memoryMb: fc.constantFrom(64, 128, 1_024),
    memoryBytes: fc.bigInt({ min: 0n, max: 10_000_000_000n }),
    durationMs: ms,
    answer: fc.oneof(fc.record({ result: json }), fc.record({ error })),
    steps: fc.array(
      fc.record({
        signal: fc.constantFrom(2, 9, 15),
        disposition: fc.integer({ min: 0, max: 4 }),
        delivery: fc.integer({ min: 0, max: 3 }),
        reception: fc.integer({ min: 0, max: 3 }),
      }),
      { maxLength: 4 },
    ),
  })
  .map(({ cold, isCold, memoryMb, memoryBytes, durationMs, answer, steps }): Run => ({
    started: AttemptStarted.fromPartial({
      instanceId: 'i',
      coldStart: cold !== undefined && isCold,
      ...(cold ? { coldStartDetail: cold } : {}),
      startTime: new Date(START_MS),
      memoryMb,
    }),
    ended: AttemptResult.create({
      outcome: Outcome.RETURNED,
      statusCode: 200,
      result: Buffer.from('result' in answer ? answer.result : ''),
      error: Buffer.from('error' in answer ? answer.error : ''),
      endTime: new Date(START_MS + Math.ceil(durationMs)),
      durationMs,
      memoryBytes,
      ...(steps.length > 0
        ? {
            stop: StopReceipt.create({
              cause: Cause.TIMEOUT,
              outcome: StopOutcome.RETURNED,
              steps: steps.map((step) => TerminationStep.create({ ...step, sentTime: new Date(START_MS) } as TerminationStep)),
            }),
          } // numbers of its enums
        : {}),
    }),
  }));

describe('The log of one run', () => {
  it('is the same for a synchronous call and for an asynchronous event', () => {
    fc.assert(
      fc.property(runs, (run) => {
        const shown = (lines: readonly LogLine[]) => lines.map(({ stream, text }) => ({ stream, text }));
        assert.deepEqual(shown(linesOfCall(run)), shown(linesOfEvent(run)));
      }),
      { numRuns: 500 },
    );
  });

  it('reads like one of SCF: whole milliseconds, rounded up; PullCode only where code was pulled', () => {
    const cold = { pullCodeMs: 0, initRuntimeMs: 26.2, initFunctionMs: 144.1 };
    const started = AttemptStarted.fromPartial({ coldStart: true, coldStartDetail: cold, startTime: new Date(START_MS), memoryMb: 128 });
    const ended = AttemptResult.create({
      result: Buffer.from('1'),
      endTime: new Date(START_MS),
      durationMs: 1.4,
      memoryBytes: 10_485_760n,
    });
    const expected = [
      `START RequestId: ${ID}`,
      `Init Report RequestId: ${ID} Coldstart: 171ms (InitRuntime: 27ms InitFunction: 145ms) Memory: 128MB MemUsage: 10.00MB`,
      `Response RequestId:${ID} RetMsg:1`,
      `END RequestId:${ID}`,
      `Report RequestId:${ID} Duration:2ms Memory:128MB MemUsage:10.00MB`,
    ].map((text) => ({ stream: Stream.PLATFORM, text }));
    for (const lines of [linesOfCall({ started, ended }), linesOfEvent({ started, ended })])
      assert.deepEqual(
        lines.map(({ stream, text }) => ({ stream, text })),
        expected,
      );
  });
});
