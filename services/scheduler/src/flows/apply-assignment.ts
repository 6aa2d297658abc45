import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import type { Assignment, StopAttempt } from '@evenfall/contracts/attempt/v1/attempt';
import { Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import { holderOf, isAdopted, stopStale } from '../domain/adopt.ts';
import { forgetAttempt, poolOf, removeWaiting } from '../domain/cluster.ts';
import { declaredEnd, endedReport, outgoingOf, revokedReport, startedReport } from '../domain/messages.ts';
import type { ScheduledAttempt, Pool, ReportSink } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';
import { assignAttempt } from './assign-attempt.ts';
import { isSafeToAssign } from './agent-sets.ts';

/** Adds an attempt, or reports again what is known of it. Returns the pool that has something new to place. */
export function applyAssignment(ports: SchedulerPorts, assignment: Assignment, sink: ReportSink): Pool | undefined {
  const { cluster } = ports;
  const known = cluster.attempts.get(assignment.eventId);
  if (known && known.assignment.attempt === assignment.attempt) {
    if (isElsewhere(known, assignment)) {
      moveToLoggedAgent(ports, known, assignment, sink);
      return undefined;
    }
    // An adopted attempt has no assignment yet: only its agent was known.
    if (isAdopted(known)) known.assignment = { ...assignment, runningOnAgentId: known.assignment.runningOnAgentId };
    known.sink = sink;
    if (known.started) sink.report(startedReport(assignment, known.started));
    if (known.ended) sink.report(endedReport(assignment, known.ended, known.endedBy));
    return undefined;
  }
  const attempt = newAttempt(assignment, sink);
  cluster.attempts.set(assignment.eventId, attempt);
  if (assignment.runningOnAgentId !== '') {
    askAgent(ports, attempt);
    return undefined;
  }
  if (!isSafeToAssign(ports, attempt)) {
    cluster.held.add(attempt);
    return undefined;
  }
  const pool = poolOf(cluster, assignment.namespace, assignment.function, assignment.version);
  if (pool.waiting.size === 0) pool.lastProgressMs = ports.clock.monotonic();
  pool.waiting.push(attempt);
  // It may name a revision that the watch has not reported yet.
  if (pool.fn && pool.fn.revision < assignment.revision) pool.stale = true;
  return pool;
}

function newAttempt(assignment: Assignment, sink: ReportSink): ScheduledAttempt {
  return {
    assignment,
    sink,
    instance: undefined,
    started: undefined,
    ended: undefined,
    endedBy: undefined,
    stop: undefined,
    isRecalled: false,
    isRevokeRequested: false,
    sentMs: 0,
    adoptedMs: undefined,
  };
}

/** Whether, by the log, an attempt runs on another agent than the one that has reported it. */
function isElsewhere(known: ScheduledAttempt, { runningOnAgentId }: Assignment): boolean {
  return known.adoptedMs !== undefined && runningOnAgentId !== '' && runningOnAgentId !== holderOf(known);
}

/** Follows the log, and stops the attempt on the other agent. */
function moveToLoggedAgent(ports: SchedulerPorts, known: ScheduledAttempt, assignment: Assignment, sink: ReportSink): void {
  const { cluster } = ports;
  const wrong = cluster.agents.get(holderOf(known));
  if (known.instance?.attempt === known) known.instance.attempt = undefined;
  if (wrong?.send && known.ended) outgoingOf(wrong).acks.push({ eventId: assignment.eventId, attempt: assignment.attempt });
  else if (wrong?.send) stopStale(known, wrong, assignment.attempt);
  const attempt = { ...newAttempt(assignment, sink), stop: known.stop };
  cluster.attempts.set(assignment.eventId, attempt);
  askAgent(ports, attempt);
}

/** Asks the agent of an attempt for its result. An agent that is away has a lease to attach again. */
export function askAgent(ports: SchedulerPorts, attempt: ScheduledAttempt): void {
  const agent = ports.cluster.agents.get(attempt.assignment.runningOnAgentId);
  if (agent?.send) assignAttempt(ports, agent, attempt, '');
  else attempt.sentMs = ports.clock.monotonic();
}

/** Stops an attempt: one that waits is revoked, the agent stops one that it has, an unknown one is reported as lost. */
export function applyStop(ports: SchedulerPorts, stop: StopAttempt, sink: ReportSink): void {
  const attempt = ports.cluster.attempts.get(stop.eventId);
  if (!attempt || attempt.assignment.attempt !== stop.attempt) {
    if (stop.mode === Mode.UNSPECIFIED) return sink.report(revokedReport(stop));
    sink.report(endedReport(stop, declaredEnd(stop.eventId, Outcome.LOST, 500, 'The attempt is not known', ports.clock.now())));
    return;
  }
  attempt.sink = sink;
  if (attempt.ended) return sink.report(endedReport(attempt.assignment, attempt.ended, attempt.endedBy));
  const { assignment } = attempt;
  if (ports.cluster.held.has(attempt)) {
    attempt.stop = stop; // an agent may have it: the stop is sent to that agent, or the attempt is revoked once it is certain that none has it
    return;
  }
  if (removeWaiting(ports.cluster, attempt)) {
    forgetAttempt(ports.cluster, attempt);
    return sink.report(revokedReport(stop));
  }
  const isOnlyAskedBack = stop.mode === Mode.UNSPECIFIED;
  // It is with an agent, which revokes it if it has not started.
  if (isOnlyAskedBack && (attempt.started || attempt.stop || attempt.isRevokeRequested || !attempt.instance?.agent.recalls)) return;
  if (isOnlyAskedBack) attempt.isRevokeRequested = true;
  else attempt.stop = stop;
  const agent = attempt.instance?.agent ?? ports.cluster.agents.get(assignment.runningOnAgentId);
  if (agent?.send) outgoingOf(agent).stops.push(stop);
}
