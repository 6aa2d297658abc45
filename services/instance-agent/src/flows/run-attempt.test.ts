import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AttemptReport, AttemptStarted } from '@evenfall/contracts/attempt/v1/attempt';
import { durationOfMs, type FakeClock, fakeClock } from '@evenfall/time';
import { spoolOutcomes } from '../loops/spool-outcomes.ts';
import type { Conversation } from '../ports.ts';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { StartInstance } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { Agent } from './agent.ts';
import { newAttempt } from './attempt.ts';
import { concludeAttempt, endAttempt } from './end-attempt.ts';
import { newInstance } from './instance.ts';
import { handOver, onAnswer, repeatReport } from './run-attempt.ts';
import { stopAttempt } from './stop-attempt.ts';
import type { Attempt, Instance } from './types.ts';

const EVENT_ID = '01990000-0000-7000-8000-000000000003';
const quiet = (): void => undefined;

/** An agent without processes: its one instance answers when the test does. */
type Played = {
  readonly clock: FakeClock;
  readonly agent: Agent;
  readonly instance: Instance;
  readonly attempt: Attempt;
  /** When the instance was last due. */
  dueMs: number;
  /** What reached the scheduler; nothing does while it is away. */
  readonly reports: AttemptReport[];
  isAway: boolean;
};

function play({ timeoutMs = 5_000, synchronous = false } = {}): Played {
  const clock = fakeClock();
  const reports: AttemptReport[] = [];
  // Only what a hand-over and an end touch.
  const agent = {
    agentId: 'a',
    clock,
    log: { info: quiet },
    logs: { whenStored: quiet },
    attempts: new Map(),
    outbox: { report: (report: AttemptReport) => (played.isAway ? 0 : reports.push(report)) },
    deadlines: { set: (_: Instance, at: number) => (played.dueMs = at), drop: () => undefined },
    feed: quiet,
    outputReader: { whenRead: quiet },
  } as unknown as Agent;
  const fn = { ...FunctionMessage.create(), memoryMb: 128, revision: 7, timeout: durationOfMs(timeoutMs) };
  const instance = newInstance({ ...StartInstance.create(), instanceId: 'i' }, fn, 0);
  instance.life = { kind: 'BUSY' };
  instance.start.coldStart = { pullCodeMs: 1, initRuntimeMs: 2, initFunctionMs: 3 };
  instance.runtime.conversation = { invoke: () => true } as unknown as Conversation; // of which a hand-over uses no more
  const attempt = newAttempt({ eventId: EVENT_ID, attempt: 2, partition: 7, synchronous }, Buffer.alloc(0));
  agent.attempts.set(attempt.key, attempt);
  const played: Played = { clock, agent, instance, attempt, dueMs: 0, reports, isAway: false };
  return played;
}

/** Hands an attempt over to an instance of a function with this timeout, and answers when it is due. */
function dueAfter(timeoutMs: number, synchronous: boolean): number {
  const played = play({ timeoutMs, synchronous });
  handOver(played.agent, played.instance, played.attempt);
  return played.dueMs - played.clock.monotonic();
}

const startOf = (report: AttemptReport | undefined): AttemptStarted | undefined =>
  report?.report?.$case === 'ended' ? report.report.value.started : undefined;

describe('An attempt that is handed over', () => {
  it('is due after the timeout of its function, a synchronous call after 900 s at the latest', () => {
    assert.equal(dueAfter(86_400_000, false), 86_400_000);
    assert.equal(dueAfter(86_400_000, true), 900_000);
    assert.equal(dueAfter(5_000, true), 5_000);
  });

  it('has its start in the report of its end, whatever became of the report of its start', () => {
    const played = play();
    const { agent, instance, attempt, clock, reports } = played;
    const startTime = new Date(clock.now());
    played.isAway = true;
    handOver(agent, instance, attempt);
    clock.advance(100);
    const answer = { returned: true, statusCode: 200, body: Buffer.from('1') };
    onAnswer(agent, instance, instance.work.callSeq, { answer, tookMs: 100, mustExit: false });
    concludeAttempt(agent, instance);
    played.isAway = false;
    repeatReport(agent, attempt); // as after the next hello
    const coldStartDetail = { pullCodeMs: 1, initRuntimeMs: 2, initFunctionMs: 3 };
    const started = { instanceId: 'i', agentId: 'a', coldStart: true, coldStartDetail, startTime, memoryMb: 128, revision: 7 };
    assert.equal(reports.length, 1);
    assert.deepEqual(startOf(reports[0]), started);
    // A stop of a caller that does not know that it is over has the end repeated with a receipt.
    stopAttempt(agent, { eventId: EVENT_ID, attempt: 2, cause: 1, mode: 1, policy: undefined });
    assert.deepEqual(startOf(reports[1]), started);
  });

  it('has it however it ended, and has none if it never began', () => {
    const lost = play();
    handOver(lost.agent, lost.instance, lost.attempt);
    endAttempt(lost.agent, lost.attempt, { kind: 'LOST' });
    assert.equal(startOf(lost.reports.at(-1))?.instanceId, 'i');
    const unbegun = play();
    endAttempt(unbegun.agent, unbegun.attempt, { kind: 'LOST' });
    assert.equal(unbegun.reports.length, 1);
    assert.equal(startOf(unbegun.reports[0]), undefined);
  });

  it('is not reported as begun while the lines of a start that failed are being stored', () => {
    const { agent, attempt, reports } = play();
    attempt.log.lastOrdinal = 1;
    endAttempt(agent, attempt, { kind: 'START_FAILED', fault: { statusCode: 450, message: '' } });
    assert.equal(attempt.phase.kind, 'REPORTING');
    repeatReport(agent, attempt);
    assert.deepEqual(reports, []);
  });

  it('has it after a restart of the agent', () => {
    const played = play();
    const disk: AttemptReport[] = [];
    const outcomes = {
      read: () => disk,
      clear: quiet,
      append: (reports: readonly AttemptReport[]) => disk.push(...reports) > 0,
    };
    const spool = spoolOutcomes(played.agent, outcomes);
    played.isAway = true;
    handOver(played.agent, played.instance, played.attempt);
    endAttempt(played.agent, played.attempt, { kind: 'EXITED', exitCode: 1 });
    spool.round(true);
    const next = play();
    next.agent.attempts.clear();
    spoolOutcomes(next.agent, outcomes);
    for (const attempt of next.agent.attempts.values()) repeatReport(next.agent, attempt);
    assert.equal(startOf(next.reports[0])?.instanceId, 'i');
  });
});
