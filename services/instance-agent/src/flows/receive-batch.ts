import type { AttachResponse, InstanceChange, InstanceReport } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { msOfDuration } from '@evenfall/time';
import type { Agent, Outbox } from './agent.ts';
import { keyOf } from './attempt.ts';
import { drainHost } from './drain-host.ts';
import { endAttempt } from './end-attempt.ts';
import { attemptOf, noteReportedBusy, removeAllWaiting } from './instance-work.ts';
import { assign, repeatReport } from './run-attempt.ts';
import { startInstance } from './start-instance.ts';
import { stopAttempt } from './stop-attempt.ts';
import { stopWhenIdle } from './stop-instance.ts';
import type { Attempt, Instance } from './types.ts';

const LOST = { kind: 'LOST' } as const;

/** Does what a batch of the scheduler requests: instances first, since its assignments may name them. Hot. */
export function receiveBatch(
  agent: Agent,
  response: AttachResponse,
  drainTimeoutMs: number,
  onAcknowledged: (attempt: Attempt) => void,
): void {
  if (response.drain) drainHost(agent, msOfDuration(response.drain.deadline) ?? drainTimeoutMs);
  for (const key of response.acks) {
    const name = keyOf(key.eventId, key.attempt);
    const attempt = agent.attempts.get(name);
    if (attempt?.phase.kind !== 'ENDED') continue;
    agent.attempts.delete(name);
    onAcknowledged(attempt);
  }
  for (const request of response.startInstances) {
    if (agent.drain) agent.outbox.change(goneOf(request.instanceId, 'the host drains'));
    else void startInstance(agent, request);
  }
  for (const assignment of response.assignments) assign(agent, assignment);
  for (const stop of response.stops) stopAttempt(agent, stop);
  for (const { instanceId, cause } of response.stopInstances) {
    const instance = agent.instances.get(instanceId);
    if (instance) stopWhenIdle(agent, instance, cause);
    else agent.outbox.change(goneOf(instanceId, 'unknown'));
  }
}

function goneOf(instanceId: string, reason: string): InstanceChange {
  return { instanceId, change: { $case: 'gone', value: { startFailed: false, reason } } };
}

/** An instance as a hello describes it. */
export function instanceReport(instance: Instance): InstanceReport {
  const { id, fn, life, grant } = instance;
  const attempt = attemptOf(instance);
  const busy = life.kind === 'SETTLING';
  if (busy) noteReportedBusy(instance, true);
  return {
    instanceId: id,
    function: fn,
    attempt: attempt && { eventId: attempt.eventId, attempt: attempt.attempt, partition: undefined },
    busy,
    grant,
  };
}

/** Reports everything again that a scheduler may have missed. */
export function repeatAll(agent: Agent, outbox: Outbox): void {
  for (const instance of agent.instances.values()) {
    if (instance.hasBeenReady && instance.life.kind !== 'SETTLING')
      outbox.change({ instanceId: instance.id, change: { $case: 'ready', value: { startMs: 0 } } });
  }
  for (const attempt of agent.attempts.values()) repeatReport(agent, attempt);
}

/** Ends every attempt: the lease has run out, and other agents may run them from now on. */
export function loseAll(agent: Agent): void {
  for (const instance of [...agent.instances.values()]) {
    for (const waiting of removeAllWaiting(instance)) endAttempt(agent, waiting, LOST);
    if (attemptOf(instance)) agent.feed(instance, { kind: 'KILL_ORDERED', end: LOST });
  }
}
