import type { AttemptKey, AttemptReport, AttemptStarted } from '@evenfall/contracts/attempt/v1/attempt';
import type { InstanceAssignment } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { ColdStart } from '@evenfall/contracts/v1/event';
import { attemptTimeoutMs } from '@evenfall/function-model';
import type { Answer } from '../domain/attempt-outcome.ts';
import type { InstanceEnd, LifeState } from '../domain/instance-life.ts';
import type { Agent } from './agent.ts';
import { enterPhase, keyOf, newAttempt, reportOn, startOf } from './attempt.ts';
import { firstDueMs } from './begin-stop.ts';
import { adoptIdleLines } from './collect-output.ts';
import { endAttempt, returnAttempt } from './end-attempt.ts';
import { addWaiting, markFree, nextCallSeq, noteBegun, occupy } from './instance-work.ts';
import { preStopTimeoutMs } from './run-hooks.ts';
import type { Attempt, HandedOverPhase, Instance } from './types.ts';

const NO_BYTES: Buffer = Buffer.alloc(0);
/** How long a runtime that reported it is free may leave an event unread. Then its instance is removed, and the event, which has not begun, is returned. */
const RECEIVE_WITHIN_MS = 15_000;
/** States in which an instance is free before long, as far as can be known. */
const WILL_BE_FREE: ReadonlySet<LifeState['kind']> = new Set(['STARTING', 'BUSY', 'ANSWERED', 'SETTLING']);
const LOST: InstanceEnd = { kind: 'LOST' };

/** Accepts an assignment. The same (event id, attempt) twice is the same attempt: reported again, never run again. */
export function assign(agent: Agent, { assignment, instanceId }: InstanceAssignment): void {
  if (!assignment) return;
  const known = agent.attempts.get(keyOf(assignment.eventId, assignment.attempt));
  if (known) {
    // From a scheduler that may not know the grant of the first assignment.
    if (assignment.grant) known.grant = assignment.grant;
    return repeatReport(agent, known);
  }
  // It ran here, and neither it nor its outcome is here any more: the agent can report nothing else.
  const wasRunningHere = assignment.runningOnAgentId !== '';
  const instance = wasRunningHere || agent.drain ? undefined : agent.instances.get(instanceId);
  const attempt = newAttempt(assignment, assignment.payload, instance);
  agent.attempts.set(attempt.key, attempt);
  if (wasRunningHere) return endAttempt(agent, attempt, LOST);
  if (instance?.life.kind === 'IDLE') return handOver(agent, instance, attempt);
  if (instance && WILL_BE_FREE.has(instance.life.kind)) addWaiting(instance, attempt);
  else returnAttempt(agent, attempt);
}

/** Ends an attempt that this agent does not know. It is kept like any other until it is acknowledged. */
export function reportUnknownAttempt(agent: Agent, named: AttemptKey): void {
  const attempt = newAttempt({ ...named, synchronous: false }, NO_BYTES);
  agent.attempts.set(attempt.key, attempt);
  endAttempt(agent, attempt, LOST);
}

/** Reports an attempt again to a scheduler that may not have received the first report: its end, or else its start. */
export function repeatReport(agent: Agent, attempt: Attempt): void {
  const { phase, grant } = attempt;
  const start = startOf(attempt);
  if (phase.kind === 'ENDED') agent.outbox.report({ ...phase.report, grant });
  else if (start) agent.outbox.report(startedReport(attempt, start.message));
}

/**
 * Hands an event to an idle instance. It starts when the runtime receives it, which most do at once; one that still works on what the function
 * left behind reports when it does. Hot: its parts are measured in `bench/`, see the README.
 */
export function handOver(agent: Agent, instance: Instance, attempt: Attempt): void {
  const payload = attempt.phase.kind === 'WAITING' ? attempt.phase.payload : NO_BYTES;
  const timeMs = agent.clock.now();
  const nowMs = agent.clock.monotonic();
  const phase = enterPhase<HandedOverPhase>(attempt, { kind: 'HANDED_OVER', instance, isRecalled: false, withdrawal: undefined });
  occupy(instance, attempt);
  agent.feed(instance, { kind: 'HANDED_OVER' });
  const deadlineTimeMs = timeMs + attemptTimeoutMs(instance.timeoutMs, attempt.synchronous);
  const seq = nextCallSeq(instance);
  const isReceived = instance.runtime.conversation?.invoke({ seq, requestId: attempt.eventId, payload, deadlineTimeMs });
  if (attempt.phase !== phase) return; // its runtime reported the receipt meanwhile
  if (isReceived) begin(agent, instance, attempt, phase, timeMs, nowMs);
  else agent.deadlines.set(instance, nowMs + RECEIVE_WITHIN_MS);
}

/** The runtime of an instance has received the event that was handed to it. */
export function onReceived(agent: Agent, instance: Instance, seq: number): void {
  const { current, callSeq } = instance.work;
  if (current?.phase.kind !== 'HANDED_OVER' || seq !== callSeq) return;
  begin(agent, instance, current, current.phase, agent.clock.now(), agent.clock.monotonic());
}

/** Begins an attempt: its time counts from here. */
function begin(agent: Agent, instance: Instance, attempt: Attempt, { withdrawal }: HandedOverPhase, timeMs: number, nowMs: number): void {
  const coldStart = noteBegun(instance) ? instance.start.coldStart : undefined;
  const message = startMessage(agent, instance, coldStart, timeMs);
  const start = { timeMs, ms: nowMs, coldStart, isAhead: instance.isAhead, message };
  // Withdrawn: its runtime reported the receipt before the SIGKILL, and the agent reads it after that.
  const wasWithdrawn = withdrawal !== undefined;
  enterPhase(attempt, { kind: 'RUNNING', instance, start, wasWithdrawn, answer: undefined, stop: withdrawal });
  agent.deadlines.set(instance, firstDueMs(instance, attempt));
  if (instance.output.idleLines.length > 0) adoptIdleLines(agent, instance, attempt);
  agent.outbox.report(startedReport(attempt, message));
}

function startMessage(agent: Agent, instance: Instance, coldStart: ColdStart | undefined, timeMs: number): AttemptStarted {
  return {
    instanceId: instance.id,
    agentId: agent.agentId,
    coldStart: coldStart !== undefined && !instance.isAhead,
    coldStartDetail: coldStart,
    startTime: new Date(timeMs),
    memoryMb: instance.fn.memoryMb,
    revision: instance.fn.revision,
  };
}

function startedReport(attempt: Attempt, started: AttemptStarted): AttemptReport {
  return reportOn(attempt, { $case: 'started', value: started });
}

/** The answer of a function; `tookMs` by its own clock. `mustExit`: its runtime reports that it must not be used again. */
export type RuntimeAnswer = { readonly answer: Answer & { readonly body: Buffer }; readonly tookMs: number; readonly mustExit: boolean };

/** Receives what the function answered. Only the event that runs can be answered, once. */
export function onAnswer(agent: Agent, instance: Instance, seq: number, { answer, tookMs, mustExit }: RuntimeAnswer): void {
  const { current, callSeq } = instance.work;
  const phase = current?.phase;
  if (phase?.kind !== 'RUNNING' || phase.answer || seq !== callSeq || !canAnswer(instance)) return;
  // By the function's own clock, so that a busy agent does not count; never more than has passed here.
  const nowMs = agent.clock.monotonic();
  phase.answer = { ...answer, tookMs: Math.min(tookMs, nowMs - phase.start.ms), timeMs: agent.clock.now(), ms: nowMs };
  // A failed asynchronous event taints its instance; a synchronous caller's may go on.
  const mustRetire = mustExit || (!answer.returned && current?.synchronous !== true);
  agent.feed(instance, mustRetire ? { kind: 'ANSWERED', nowMs, retireHookMs: preStopTimeoutMs(instance.fn) } : { kind: 'ANSWERED', nowMs });
  if (instance.life.kind === 'ANSWERED' || instance.life.kind === 'FAILED')
    agent.outputReader.whenRead(instance, () => onOutputRead(agent, instance));
}

/** What the function wrote before its answer has been read: its attempt is over. */
function onOutputRead(agent: Agent, instance: Instance): void {
  agent.feed(instance, { kind: 'CONCLUDED', nowMs: agent.clock.monotonic(), isFree: instance.work.isFree });
}

/** Whether an answer still counts: SIGKILL may have been sent already. After an exit it does: it was written before it. */
function canAnswer({ life }: Instance): boolean {
  if (life.kind === 'SWEEPING') return life.end.kind === 'EXITED' || life.end.kind === 'DIED_OF';
  return life.kind === 'BUSY' || life.kind === 'TERMINATING';
}

/** The runtime of an instance is free for the next event. */
export function onFree(agent: Agent, instance: Instance): void {
  markFree(instance);
  if (instance.life.kind === 'SETTLING') agent.feed(instance, { kind: 'FREE' });
}
