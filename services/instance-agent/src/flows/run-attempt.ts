import type { AttemptKey, AttemptReport, AttemptStarted } from '@evenfall/contracts/attempt/v1/attempt';
import type { InstanceAssignment } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { Ending } from '../domain/instance-life.ts';
import { timeLimitMs } from '../domain/time-limit.ts';
import { type Agent, type Attempt, type Instance, keyOf } from './agent.ts';
import { takeIdleLines } from './collect-output.ts';
import { endAttempt, giveBack } from './end-attempt.ts';
import { firstDueMs } from './take-due.ts';

const NO_BYTES: Buffer = Buffer.alloc(0);
const LOST: Ending = { kind: 'LOST' };

/** Takes an assignment. The same (event id, attempt) twice is the same attempt: reported again, never run again. */
export function assign(agent: Agent, given: InstanceAssignment): void {
  const assignment = given.assignment;
  if (!assignment) return;
  const key = keyOf(assignment.eventId, assignment.attempt);
  const known = agent.attempts.get(key);
  if (known) return reportAgain(agent, known);
  const attempt = newAttempt(assignment, assignment.payload);
  agent.attempts.set(key, attempt);
  // It ran here, and neither it nor its outcome is here any more: only that can be said.
  if (assignment.runningOnAgentId !== '') return endAttempt(agent, attempt, LOST);
  if (agent.drain) return giveBack(agent, attempt);
  const instance = agent.instances.get(given.instanceId);
  attempt.instance = instance;
  if (instance?.life.kind === 'IDLE') return handOver(agent, instance, attempt);
  const soon = instance && (instance.life.kind === 'STARTING' || instance.life.kind === 'BUSY' || instance.life.kind === 'ANSWERED');
  if (soon) instance.waiting.push(attempt);
  else giveBack(agent, attempt);
}

/** Ends an attempt nobody here has heard of. It is kept like any other until it is acknowledged. */
export function reportUnknownAttempt(agent: Agent, named: AttemptKey): void {
  const attempt = newAttempt({ ...named, synchronous: false }, NO_BYTES);
  agent.attempts.set(attempt.key, attempt);
  endAttempt(agent, attempt, LOST);
}

export function reportAgain(agent: Agent, attempt: Attempt): void {
  if (attempt.phase === 'ENDED' && attempt.ended) agent.outbox.report(attempt.ended);
  else if (attempt.started) agent.outbox.report(startedReport(attempt, attempt.started));
}

/** Hands an event to an idle instance. Hot: its parts are measured in `bench/`, see the README. */
export function handOver(agent: Agent, instance: Instance, attempt: Attempt): void {
  const payload = attempt.payload;
  attempt.phase = 'RUNNING';
  attempt.payload = NO_BYTES; // the runtime has it now
  attempt.instance = instance;
  attempt.startTimeMs = agent.clock.now();
  attempt.startMs = agent.clock.monotonic();
  attempt.coldStart = instance.coldStart;
  attempt.ahead = instance.ahead;
  instance.coldStart = undefined;
  attempt.started = startOf(agent, instance, attempt);
  instance.current = attempt;
  agent.feed(instance, { kind: 'HANDED_OVER' });
  agent.deadlines.set(instance, firstDueMs(instance, attempt));
  if (instance.idleLines.length > 0) takeIdleLines(agent, instance, attempt);
  const deadlineTimeMs = attempt.startTimeMs + timeLimitMs(instance.timeoutMs, attempt.synchronous);
  instance.conversation?.invoke({ seq: ++instance.seq, requestId: attempt.eventId, payload, deadlineTimeMs });
  agent.outbox.report(startedReport(attempt, attempt.started));
}

function startOf(agent: Agent, instance: Instance, attempt: Attempt): AttemptStarted {
  return {
    instanceId: instance.id,
    agentId: agent.agentId,
    coldStart: attempt.coldStart !== undefined && !attempt.ahead,
    coldStartDetail: attempt.coldStart,
    startTime: new Date(attempt.startTimeMs),
    memoryMb: instance.fn.memoryMb,
  };
}

function startedReport({ eventId, number, partition }: Attempt, started: AttemptStarted): AttemptReport {
  return { eventId, attempt: number, partition, report: { $case: 'started', value: started } };
}

/** An attempt of which nothing has happened. */
export function newAttempt(named: AttemptKey & Pick<Attempt, 'synchronous'>, payload: Buffer): Attempt {
  const { eventId, attempt: number, partition, synchronous } = named;
  return {
    key: keyOf(eventId, number),
    eventId,
    number,
    partition: synchronous ? undefined : partition,
    synchronous,
    payload,
    phase: 'WAITING',
    instance: undefined,
    coldStart: undefined,
    ahead: false,
    startTimeMs: 0,
    startMs: 0,
    started: undefined,
    tookMs: 0,
    answer: undefined,
    stop: undefined,
    lineCount: 0,
    lineBytes: 0,
    cut: false,
    lastOrdinal: 0,
    head: undefined,
    tail: synchronous ? [] : undefined,
    tailBytes: 0,
    ended: undefined,
    endedMs: 0,
    spooled: false,
  };
}
