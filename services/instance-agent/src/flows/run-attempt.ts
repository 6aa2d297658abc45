import type { AttemptKey, AttemptReport, AttemptStarted } from '@evenfall/contracts/attempt/v1/attempt';
import type { InstanceAssignment } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { Ending, LifeState } from '../domain/instance-life.ts';
import { timeLimitMs } from '../domain/time-limit.ts';
import { type Agent, type Attempt, type Instance, keyOf, reportOn } from './agent.ts';
import { takeIdleLines } from './collect-output.ts';
import { endAttempt, giveBack } from './end-attempt.ts';
import { firstDueMs } from './begin-stop.ts';

const NO_BYTES: Buffer = Buffer.alloc(0);
/** How long a runtime that said it is free may leave an event untaken. Then its instance is removed, and the event, which has not begun, is given back. */
const TAKE_WITHIN_MS = 15_000;
/** Lives in which an instance is free before long, so far as can be known. */
const WILL_BE_FREE: ReadonlySet<LifeState['kind']> = new Set(['STARTING', 'BUSY', 'ANSWERED', 'SETTLING']);
const LOST: Ending = { kind: 'LOST' };

/** Takes an assignment. The same (event id, attempt) twice is the same attempt: reported again, never run again. */
export function assign(agent: Agent, given: InstanceAssignment): void {
  const assignment = given.assignment;
  if (!assignment) return;
  const key = keyOf(assignment.eventId, assignment.attempt);
  const known = agent.attempts.get(key);
  if (known) {
    // Asked for by a scheduler that may not know the grant it came with.
    if (assignment.grant) known.grant = assignment.grant;
    return reportAgain(agent, known);
  }
  const attempt = newAttempt(assignment, assignment.payload);
  agent.attempts.set(key, attempt);
  // It ran here, and neither it nor its outcome is here any more: only that can be said.
  if (assignment.runningOnAgentId !== '') return endAttempt(agent, attempt, LOST);
  if (agent.drain) return giveBack(agent, attempt);
  const instance = agent.instances.get(given.instanceId);
  attempt.instance = instance;
  if (instance?.life.kind === 'IDLE') return handOver(agent, instance, attempt);
  const soon = instance && WILL_BE_FREE.has(instance.life.kind);
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
  if (attempt.phase === 'ENDED' && attempt.ended) agent.outbox.report({ ...attempt.ended, grant: attempt.grant });
  else if (attempt.started) agent.outbox.report(startedReport(attempt, attempt.started));
}

/**
 * Hands an event to an idle instance. It starts when the runtime takes it, which most do at once; one that is held up by what the function
 * left behind says when it does. Hot: its parts are measured in `bench/`, see the README.
 */
export function handOver(agent: Agent, instance: Instance, attempt: Attempt): void {
  const payload = attempt.payload;
  const timeMs = agent.clock.now();
  const nowMs = agent.clock.monotonic();
  attempt.payload = NO_BYTES; // the runtime has it now
  attempt.instance = instance;
  instance.current = attempt;
  instance.isFree = false;
  agent.feed(instance, { kind: 'HANDED_OVER' });
  const deadlineTimeMs = timeMs + timeLimitMs(instance.timeoutMs, attempt.synchronous);
  const isTaken = instance.conversation?.invoke({ seq: ++instance.seq, requestId: attempt.eventId, payload, deadlineTimeMs });
  if (isTaken) begin(agent, instance, attempt, timeMs, nowMs);
  else if (attempt.phase === 'WAITING') agent.deadlines.set(instance, nowMs + TAKE_WITHIN_MS);
}

/** The runtime of an instance has taken the event that was handed to it. */
export function onTaken(agent: Agent, instance: Instance, seq: number): void {
  const attempt = instance.current;
  if (attempt?.phase !== 'WAITING' || seq !== instance.seq) return;
  begin(agent, instance, attempt, agent.clock.now(), agent.clock.monotonic());
  attempt.stop ??= attempt.withdrawn; // said before the SIGKILL that was to take it back, and read after it
}

/** Starts an attempt: its time counts from here. */
function begin(agent: Agent, instance: Instance, attempt: Attempt, timeMs: number, nowMs: number): void {
  attempt.phase = 'RUNNING';
  attempt.startTimeMs = timeMs;
  attempt.startMs = nowMs;
  attempt.coldStart = instance.coldStart;
  attempt.ahead = instance.ahead;
  instance.coldStart = undefined;
  attempt.started = startOf(agent, instance, attempt);
  agent.deadlines.set(instance, firstDueMs(instance, attempt));
  if (instance.idleLines.length > 0) takeIdleLines(agent, instance, attempt);
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
    revision: instance.fn.revision,
  };
}

function startedReport(attempt: Attempt, started: AttemptStarted): AttemptReport {
  return reportOn(attempt, { $case: 'started', value: started });
}

/** An attempt of which nothing has happened. */
export function newAttempt(named: AttemptKey & Pick<Attempt, 'synchronous'>, payload: Buffer): Attempt {
  const { eventId, attempt: number, partition, synchronous, grant } = named;
  return {
    key: keyOf(eventId, number),
    eventId,
    number,
    partition: synchronous ? undefined : partition,
    synchronous,
    grant,
    logGrant: undefined,
    payload,
    phase: 'WAITING',
    instance: undefined,
    coldStart: undefined,
    ahead: false,
    startTimeMs: 0,
    startMs: 0,
    started: undefined,
    tookMs: 0,
    answerTimeMs: 0,
    answerMs: 0,
    answer: undefined,
    stop: undefined,
    lineCount: 0,
    lineBytes: 0,
    cut: false,
    lastOrdinal: 0,
    head: undefined,
    tail: synchronous ? [] : undefined,
    tailBytes: 0,
    isAskedBack: false,
    withdrawn: undefined,
    ended: undefined,
    endedMs: 0,
    spooled: false,
  };
}
