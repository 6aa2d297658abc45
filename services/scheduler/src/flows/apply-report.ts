import type { AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import type { InstanceChange } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import { Termination_Cause as Cause } from '@evenfall/contracts/v1/termination';
import { boundReport } from '@evenfall/event-model';
import { forgetAttempt, removeInstance, setInstanceState } from '../domain/cluster.ts';
import { isOutdated } from '../domain/revisions.ts';
import { noteGone, noteProven } from '../domain/crash-loop.ts';
import { leavesInstanceReusable } from '../domain/scaling.ts';
import type { Agent, Instance, ScheduledAttempt, Pool } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';
import { endClaim, judgeClaim } from './judge-claim.ts';
import { stopInstance } from './stop-instance.ts';

/** Kinds of reports that matter for an attempt that is not known yet. */
const ADOPTABLE: ReadonlySet<string | undefined> = new Set(['started', 'ended']);
/** How much the newest attempt counts in the average. */
const NEWEST = 0.05;

/** Applies an agent's report and passes it on. Returns the pool that may have room now. */
export function applyReport(ports: SchedulerPorts, agent: Agent, sent: AttemptReport): Pool | undefined {
  const nowMs = ports.clock.monotonic();
  const { cluster } = ports;
  const kind = sent.report?.$case;
  // For an attempt that is not known only its start and its end matter.
  if (!ADOPTABLE.has(kind) && !cluster.attempts.has(sent.eventId)) return undefined;
  const claim = judgeClaim(ports, agent, sent);
  if (claim.kind !== 'HOLDER') {
    // It is no longer wanted: its event has ended, or went on without it.
    if (ADOPTABLE.has(kind)) endClaim(ports, agent, claim.kind, sent, kind === 'ended');
    return undefined;
  }
  const { attempt } = claim;
  // Within the limits before it goes any further: a report that cannot be sent on would break the stream to the queue again and again.
  const report = { ...signed(agent, boundReport(sent, attempt.assignment.synchronous)), partition: attempt.assignment.partition };
  const change = report.report;
  switch (change?.$case) {
    case 'started':
      attempt.started = change.value;
      if (!attempt.instance) link(attempt, agent.instances.get(change.value.instanceId), nowMs);
      attempt.sink.report(report);
      return undefined;
    case 'signalSent':
      attempt.sink.report(report);
      return undefined;
    case 'revoked': {
      const pool = attempt.instance?.pool;
      if (pool && attempt.isRecalled && !attempt.isRevokeRequested && !attempt.stop) {
        // Its instance was of an older revision: it is placed again.
        const { instance } = attempt;
        attempt.instance = undefined;
        if (instance) release(ports, instance, attempt, true);
        pool.waiting.unshift(attempt);
        return pool;
      }
      forgetAttempt(ports.cluster, attempt);
      if (attempt.instance) release(ports, attempt.instance, attempt, true);
      attempt.sink.report(report);
      return pool;
    }
    case 'throttled': {
      // Its instance was not there any more when it arrived: it is placed again.
      const { instance } = attempt;
      if (!instance) return undefined;
      attempt.instance = undefined;
      if (instance.attempt === attempt) {
        instance.attempt = undefined;
        setInstanceState(instance, 'STOPPING', nowMs);
      }
      instance.pool.waiting.unshift(attempt);
      return instance.pool;
    }
    case 'ended': {
      if (attempt.ended) return undefined;
      attempt.ended = change.value;
      attempt.endedBy = agent.id;
      const { instance } = attempt;
      if (instance) {
        // The function's own time: the overhead of the platform does not shrink with more instances.
        const tookMs = change.value.durationMs;
        const { pool } = instance;
        pool.averageMs = pool.averageMs === undefined ? tookMs : pool.averageMs + (tookMs - pool.averageMs) * NEWEST;
        pool.lastProgressMs = nowMs;
        const { outcome, signal, stop } = change.value;
        const isBroken = outcome === Outcome.THREW && signal !== ''; // the conversation with its runtime failed, and it was killed
        if (outcome === Outcome.RETURNED || (outcome === Outcome.THREW && !isBroken)) {
          instance.proven = true;
          if (pool.crashes > 0) noteProven(pool);
        }
        if (!stop && (outcome === Outcome.EXITED || outcome === Outcome.DIED_OF || isBroken)) instance.crashed = true;
        const isReusable = leavesInstanceReusable(change.value, attempt.assignment.synchronous);
        release(ports, instance, attempt, isReusable, change.value.instanceBusy);
      }
      attempt.sink.report(report);
      return instance?.pool;
    }
    default:
      return undefined;
  }
}

/** A report as it is passed on: with the id of the agent that sent it, not with one that it claims. */
function signed(agent: Agent, report: AttemptReport): AttemptReport {
  return { ...report, grant: undefined, agentId: agent.id, report: bySender(agent, report.report) };
}

function bySender({ id: agentId }: Agent, change: AttemptReport['report']): AttemptReport['report'] {
  switch (change?.$case) {
    case 'started':
      return change.value.agentId === agentId ? change : { ...change, value: { ...change.value, agentId } };
    case 'ended': {
      const { started } = change.value;
      return !started || started.agentId === agentId ? change : { ...change, value: { ...change.value, started: { ...started, agentId } } };
    }
    default:
      return change;
  }
}

/** Links an attempt that a previous scheduler assigned to its instance. */
function link(attempt: ScheduledAttempt, instance: Instance | undefined, nowMs: number): void {
  if (!instance || instance.attempt) return;
  attempt.instance = instance;
  instance.attempt = attempt;
  setInstanceState(instance, 'BUSY', nowMs);
}

/** Releases an instance from an attempt: it is free for the next one, or stops. */
function release(ports: SchedulerPorts, instance: Instance, attempt: ScheduledAttempt, reusable: boolean, isBusy = false): void {
  if (instance.attempt !== attempt) return;
  instance.attempt = undefined;
  if (instance.state === 'STARTING') return; // it reports when it is ready
  if (instance.state !== 'BUSY') return;
  const nowMs = ports.clock.monotonic();
  if (!reusable) return setInstanceState(instance, 'STOPPING', nowMs);
  if (isBusy) return setInstanceState(instance, 'SETTLING', nowMs); // it reports when it is free
  makeIdle(ports, instance, nowMs);
}

/** An instance is free: for another attempt, or to be stopped if it is of an older revision. */
function makeIdle(ports: SchedulerPorts, instance: Instance, nowMs: number): void {
  setInstanceState(instance, 'IDLE', nowMs);
  if (isOutdated(instance)) stopInstance(ports, instance, Cause.UPDATE);
}

/** Applies a change of an instance. Returns the pool that may have room now. */
export function applyInstanceChange(ports: SchedulerPorts, agent: Agent, change: InstanceChange): Pool | undefined {
  const instance = agent.instances.get(change.instanceId);
  if (!instance) return undefined;
  if (change.change?.$case === 'ready') {
    const nowMs = ports.clock.monotonic();
    if (instance.state === 'SETTLING') makeIdle(ports, instance, nowMs);
    if (instance.state === 'STARTING' && instance.attempt) setInstanceState(instance, 'BUSY', nowMs);
    if (instance.state === 'STARTING') makeIdle(ports, instance, nowMs);
  } else {
    const gone = change.change?.$case === 'gone' ? change.change.value : undefined;
    const startFailed = gone?.startFailed ?? false;
    if (startFailed) {
      ports.counters.instance_start_failures_total++;
      instance.pool.lastFailure = gone?.reason ?? '';
    }
    // One that was stopped, or was requested to stop, has not crashed; one that ended while it was idle has.
    const endedIdle = instance.state === 'IDLE' && !agent.drain;
    if (gone?.codeMissing) {
      // Its revision was replaced while it started, and the watch may not have reported it yet.
      instance.pool.missingCode = Math.max(instance.pool.missingCode, instance.revision);
      instance.pool.stale = true;
    } else if (!isOutdated(instance) && (startFailed || instance.crashed || endedIdle))
      noteGone(instance, startFailed, ports.clock.monotonic());
    removeInstance(instance, ports.clock.monotonic());
  }
  return instance.pool;
}
