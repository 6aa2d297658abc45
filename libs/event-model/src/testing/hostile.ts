import fc from 'fast-check';
import { TerminationPolicy, TerminationStep } from '@evenfall/contracts/v1/termination';
import type { AttemptResult, AttemptReport, AttemptStarted } from '@evenfall/contracts/attempt/v1/attempt';

/** What an agent might send that is broken, or means ill: texts, lists, numbers and times of any size. */
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc
    .tuple(fc.constantFrom('a', '\u0000', '"', '\n', 'é', '😀', '\ud800', '\u2028'), fc.integer({ min: 1, max: 60_000 }))
    .map(([unit, times]) => unit.repeat(times)),
);
const bytes = fc.oneof(
  fc.constant(Buffer.alloc(0)),
  text.map((one) => Buffer.from(one)),
  text.map((one) => Buffer.from(JSON.stringify({ errorCode: -1, errorMessage: one, errorType: one, stackTrace: one }))),
  fc.integer({ min: 200_000, max: 2_000_000 }).map((length) => Buffer.alloc(length, 'x')),
);
const time = fc.oneof(fc.constant(undefined), fc.date({ min: new Date(0), max: new Date(4e12) }), fc.constant(new Date(NaN)));
const amount = fc.oneof(fc.double(), fc.constantFrom(NaN, Infinity, -1, 0));
const times = (count: number): fc.Arbitrary<number> => fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: count }));
const policy = times(50).map((count) => ({
  ...TerminationPolicy.create({ killSignal: 15 }),
  escalation: Array.from({ length: count }, () => ({ signal: 2 as const, wait: undefined })),
}));

const stop = fc.record({
  policy: fc.option(policy, { nil: undefined }),
  steps: fc
    .tuple(times(1_000), time)
    .map(([count, sentTime]) =>
      Array.from({ length: count }, () => TerminationStep.create({ signal: 15, sentTime, disposition: 1, delivery: 1 })),
    ),
  outcome: fc.constantFrom(1, 5),
  sweptProcessCount: fc.integer(),
  durationMs: amount,
  exitCode: fc.integer(),
  signal: text,
  cause: fc.constantFrom(1, 2, 3),
  mode: fc.constantFrom(1, 2),
  requestTime: time,
  containment: fc.constantFrom(0, 1),
  exit: fc.option(fc.record({ kind: fc.constantFrom(1, 2), exitCode: fc.integer(), signal: text, answerTime: time, durationMs: amount }), {
    nil: undefined,
  }),
  extensions: fc
    .tuple(times(1_000), time, text)
    .map(([count, at, reason]) =>
      Array.from({ length: count }, () => ({ time: at, requested: undefined, granted: undefined, reason: reason.slice(0, 3_000) })),
    ),
  changes: fc
    .tuple(times(1_000), time)
    .map(([count, at]) =>
      Array.from({ length: count }, () => ({ time: at, cause: 1 as const, mode: 1 as const, gracePeriod: undefined, effect: 1 as const })),
    ),
});

export const hostileStart: fc.Arbitrary<AttemptStarted> = fc.record({
  instanceId: text,
  agentId: text,
  coldStart: fc.boolean(),
  coldStartDetail: fc.option(fc.record({ pullCodeMs: amount, initRuntimeMs: amount, initFunctionMs: amount }), { nil: undefined }),
  startTime: time,
  memoryMb: fc.integer(),
});

export const hostileEnd: fc.Arbitrary<AttemptResult> = fc.record({
  outcome: fc.oneof(fc.constantFrom(1, 2, 3, 8, 9), fc.integer()),
  statusCode: fc.oneof(fc.constantFrom(200, 430, 433, 500), fc.integer()),
  result: bytes,
  resultTruncated: fc.boolean(),
  error: bytes,
  endTime: time,
  durationMs: amount,
  memoryBytes: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  exitCode: fc.integer(),
  signal: text,
  stop: fc.option(stop, { nil: undefined }),
  started: fc.option(hostileStart, { nil: undefined }),
  instanceBusy: fc.boolean(),
  logTail: text,
}) as fc.Arbitrary<AttemptResult>; // the wire takes any number for an enumeration

/** A report of some attempt, of the kinds that carry something. */
export function hostileReport(eventId: string, attempt: number): fc.Arbitrary<AttemptReport> {
  const report = fc.oneof(
    hostileEnd.map((value) => ({ $case: 'ended', value }) as const),
    hostileStart.map((value) => ({ $case: 'started', value }) as const),
    fc.record({ policy, time }).map(
      ({ policy: applied, time: sentTime }) =>
        ({
          $case: 'signalSent',
          value: { policy: applied, step: TerminationStep.create({ signal: 15, sentTime }), cause: 1 },
        }) as const,
    ),
  );
  return report.map((one) => ({ eventId, attempt, partition: 0, report: one }));
}
