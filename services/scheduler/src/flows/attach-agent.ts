import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import type { AttachRequest, AttachResponse, Hello } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import { orThrow } from '@evenfall/errors';
import { durationOfMs } from '@evenfall/time';
import { type AgentLimits, boundBatch, checkedHello } from '../domain/check-hello.ts';
import { holderOf } from '../domain/adopt.ts';
import { addInstance, poolOf, removeInstance, setInstanceState } from '../domain/cluster.ts';
import { declaredEnd, endedReport, outgoingOf } from '../domain/messages.ts';
import type { Agent, ScheduledAttempt, Pool } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';
import { noteDrain } from './drain-agent.ts';
import { flushAgents } from './flush.ts';
import { assignAttempt } from './assign-attempt.ts';
import { endClaim, judgeClaim, mayBring } from './judge-claim.ts';
import { noteAttached, releaseHeld } from './agent-sets.ts';
import { replaceInstance } from './apply-function.ts';
import { isOutdated } from '../domain/revisions.ts';
import { placeAttempts } from './place-attempts.ts';
import { askAgent } from './apply-assignment.ts';
import { applyInstanceChange, applyReport } from './apply-report.ts';

/** Takes an agent's batch in: its words, then what they make possible. */
export function applyBatch(ports: SchedulerPorts, agent: Agent, sent: AttachRequest): void {
  const batch = boundBatch(sent);
  agent.lastSeenMs = ports.clock.monotonic();
  if (batch.cpuBusy !== undefined) agent.cpuBusy = batch.cpuBusy;
  const hasMoreRoom = batch.temporaryMb !== undefined && batch.temporaryMb < agent.temporaryMb;
  agent.temporaryMb = batch.temporaryMb ?? agent.temporaryMb;
  if (batch.drain) noteDrain(ports, agent, batch.drain);
  if (batch.heartbeat) outgoingOf(agent).heartbeat = batch.heartbeat;
  const pools = new Set<Pool>();
  const note = (pool: Pool | undefined): void => {
    if (pool) pools.add(pool);
  };
  for (const report of batch.reports) note(applyReport(ports, agent, report));
  for (const change of batch.instanceChanges) note(applyInstanceChange(ports, agent, change));
  // Room on a host may serve any waiting attempt.
  if (hasMoreRoom || batch.instanceChanges.length > 0)
    for (const pool of ports.cluster.pools.values()) if (pool.waiting.size > 0) pools.add(pool);
  for (const pool of pools) if (pool.waiting.size > 0) placeAttempts(ports, pool);
  flushAgents(ports);
}

/**
 * Takes an agent in, or back: its first batch says what it still holds, and what it does not is lost. Throws INVALID_FIELD, before anything of it is
 * taken in, for a hello beyond its limits.
 */
export function attachAgent(
  ports: SchedulerPorts,
  first: AttachRequest,
  said: Hello,
  send: (batch: AttachResponse) => void,
  close?: () => void,
  limits: AgentLimits = ports.agentLimits,
): Agent {
  const hello = orThrow(checkedHello(said));
  const { capacityMb, instances, parallelStarts } = limits;
  const nowMs = ports.clock.monotonic();
  const agent: Agent = ports.cluster.agents.get(hello.agentId) ?? {
    id: hello.agentId,
    sessionId: hello.sessionId,
    capacityMb: 0,
    usedMb: 0,
    parallelStarts: 1,
    maxInstances: 0,
    refused: { count: 0, sinceMs: nowMs },
    cpuBusy: 0,
    temporaryMb: 0,
    starting: 0,
    abilities: [],
    attachTimeMs: ports.clock.now(),
    outgoing: undefined,
    send: undefined,
    lastSeenMs: nowMs,
    instances: new Map(),
    recalls: false,
    isAcknowledged: false,
    drain: undefined,
    close: undefined,
  };
  ports.cluster.agents.set(agent.id, agent);
  if (agent.sessionId !== hello.sessionId) agent.drain = undefined; // one that was started anew drains no more
  agent.sessionId = hello.sessionId;
  agent.capacityMb = Math.min(hello.capacityMb, capacityMb);
  agent.parallelStarts = Math.min(hello.parallelStarts, parallelStarts);
  agent.maxInstances = instances;
  if (hello.capacityMb > capacityMb)
    ports.log.warn('an agent offers more memory than a host may have here', {
      agent_id: agent.id,
      offered_mb: hello.capacityMb,
      counted_mb: capacityMb,
    });
  agent.abilities = hello.abilities;
  agent.recalls = hello.recalls ?? false;
  agent.attachTimeMs = ports.clock.now();
  agent.outgoing = undefined;
  agent.send = send;
  agent.close = close;
  outgoingOf(agent).welcome = { lease: durationOfMs(ports.leaseMs), heartbeatInterval: durationOfMs(ports.leaseMs / 3) };

  if (agent.drain && !first.drain) outgoingOf(agent).drain = { deadline: undefined }; // the agent may not have received it

  const held = applyHeldAttempts(ports, agent, hello);
  const attempts = reconcileInstances(ports, agent, hello);
  applyBatch(ports, agent, first);
  for (const attempt of attempts) {
    if (attempt.ended || held.has(attempt)) continue;
    // It answers that it knows nothing, and the attempt is lost.
    assignAttempt(ports, agent, attempt, '', agent.id);
  }
  for (const attempt of ports.cluster.attempts.values()) {
    if (attempt.ended) continue;
    if (attempt.assignment.runningOnAgentId === agent.id && !held.has(attempt)) askAgent(ports, attempt);
    if (attempt.stop && attempt.stop.mode !== Mode.UNSPECIFIED && (attempt.instance?.agent === agent || held.has(attempt)))
      outgoingOf(agent).stops.push(attempt.stop);
  }
  for (const instance of [...agent.instances.values()])
    if (isOutdated(instance)) {
      instance.pool.isMixed = true;
      replaceInstance(ports, instance);
    }
  noteAttached(ports, agent);
  releaseHeld(ports);
  for (const pool of ports.cluster.pools.values()) if (pool.waiting.size > 0) placeAttempts(ports, pool);
  flushAgents(ports);
  return agent;
}

/**
 * Applies the attempts that an agent has, or has the result of: they are not assigned to another one. It has to stop those whose event went on without it.
 * Answers those that are its own.
 */
function applyHeldAttempts(ports: SchedulerPorts, agent: Agent, hello: Hello): ReadonlySet<ScheduledAttempt> {
  const held = new Set<ScheduledAttempt>();
  for (const key of hello.held) {
    const claim = judgeClaim(ports, agent, key);
    if (claim.kind === 'HOLDER') held.add(claim.attempt);
    else endClaim(ports, agent, claim.kind, key, false);
  }
  return held;
}

/** Makes the scheduler's state of an agent equal to what the agent reports. Returns the attempts that were on it before, by the scheduler's state. */
function reconcileInstances(ports: SchedulerPorts, agent: Agent, hello: Hello): ScheduledAttempt[] {
  const nowMs = ports.clock.monotonic();
  const before = [...ports.cluster.attempts.values()].filter((attempt) => attempt.instance?.agent === agent);
  const held = new Map(hello.instances.map((report) => [report.instanceId, report]));
  for (const instance of [...agent.instances.values()]) if (!held.has(instance.id)) removeInstance(instance, nowMs);
  for (const [id, report] of held) {
    if (!report.function || !mayBring(ports, agent, report)) continue;
    const { namespace, name, version } = report.function;
    const key = report.attempt;
    const found = key && ports.cluster.attempts.get(key.eventId);
    const attempt = found && found.assignment.attempt === key.attempt && holderOf(found) === agent.id ? found : undefined;
    const known =
      agent.instances.get(id) ??
      addInstance(agent, poolOf(ports.cluster, namespace, name, version), id, report.function, 'STOPPING', nowMs);
    setInstanceState(known, report.attempt ? 'BUSY' : report.busy ? 'SETTLING' : 'IDLE', nowMs);
    known.attempt = attempt;
    if (attempt) attempt.instance = known;
  }
  return before;
}

/** Declares an attempt lost: its host is gone, or came back without it. */
export function loseAttempt(ports: SchedulerPorts, attempt: ScheduledAttempt): void {
  const lost = declaredEnd(attempt.assignment.eventId, Outcome.LOST, 500, 'The host of the attempt was lost', ports.clock.now());
  attempt.ended = { ...lost, started: attempt.started };
  attempt.sink.report(endedReport(attempt.assignment, attempt.ended));
}

/** Detaches an agent. Its attempts are lost when its lease has run out, not before. */
export function detachAgent(agent: Agent): void {
  agent.send = undefined;
  agent.close = undefined;
  agent.outgoing = undefined;
}
