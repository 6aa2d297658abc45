import type { AttemptKey } from '@evenfall/contracts/attempt/v1/attempt';
import type { InstanceReport } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { Termination_Cause as Cause } from '@evenfall/contracts/v1/termination';
import { adoptAttempt, forcedStop, foundAt, holderOf, stopStale } from '../domain/adopt.ts';
import { grantedAttempt, grantedInstance } from '@evenfall/grants';
import { outgoingOf } from '../domain/messages.ts';
import type { Agent, ScheduledAttempt } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';
import { isRecovering } from './agent-sets.ts';

/** The claim of an agent about an attempt: valid, outdated, or not allowed. */
export type Claim = { readonly kind: 'HOLDER'; readonly attempt: ScheduledAttempt } | { readonly kind: 'STALE' | 'REFUSED' };

/** 3 ms of work a second. */
const MOST_REFUSED = 1_000;
const REFUSED_WITHIN_MS = 1_000;

const STALE: Claim = { kind: 'STALE' };
const REFUSED: Claim = { kind: 'REFUSED' };

/**
 * Whether an agent may speak of an attempt. What this scheduler gave away it remembers, and what has started the log knows; of all else the agent
 * shows the grant that its assignment came with. An attempt that this scheduler does not know is adopted by it. Hot.
 */
export function judgeClaim(ports: SchedulerPorts, agent: Agent, key: AttemptKey): Claim {
  const { cluster, clock, grants } = ports;
  const known = cluster.attempts.get(key.eventId);
  if (known && known.assignment.attempt !== key.attempt) return STALE;
  const holder = known && holderOf(known);
  if (known && holder === agent.id) return { kind: 'HOLDER', attempt: known };
  const issuedMs = mayTry(ports, agent) ? grants.check(grantedAttempt(key), agent.id, key.grant) : undefined;
  if (issuedMs === undefined) {
    noteRefused(ports, agent, { event_id: key.eventId, attempt: key.attempt });
    return REFUSED;
  }
  if (!known) return { kind: 'HOLDER', attempt: adoptAttempt(cluster, agent, key, clock.monotonic(), issuedMs) };
  if (holder === '') {
    foundAt(cluster, known, agent);
    known.assignment = { ...known.assignment, runningOnAgentId: agent.id };
    known.adoptedMs = issuedMs;
    return { kind: 'HOLDER', attempt: known };
  }
  // Two agents have grants: the one that was given it last has it, the other gave it back once.
  if (known.adoptedMs === undefined || known.adoptedMs >= issuedMs || known.ended) return STALE;
  transfer(ports, known, agent, issuedMs);
  return { kind: 'HOLDER', attempt: known };
}

/** Answers a claim that is of the past, so that the agent does not go on with it. `isEnded` says that it keeps the outcome. */
export function endClaim(ports: SchedulerPorts, agent: Agent, claim: Claim['kind'], key: AttemptKey, isEnded: boolean): void {
  const known = ports.cluster.attempts.get(key.eventId);
  // Refused, for an event that is not known: the queue may still assign it to this agent, by the log, and the agent gets a grant then.
  if (claim === 'REFUSED' && !known && isRecovering(ports)) return;
  if (isEnded) outgoingOf(agent).acks.push({ eventId: key.eventId, attempt: key.attempt });
  else if (known) stopStale(known, agent, key.attempt);
  else outgoingOf(agent).stops.push(forcedStop(key));
}

/** Whether an agent may bring an instance along that this scheduler does not know: one that it was asked for. Else it is to stop it. */
export function mayBring(ports: SchedulerPorts, agent: Agent, { instanceId, function: fn, grant }: InstanceReport): boolean {
  if (agent.instances.has(instanceId)) return true;
  if (fn && mayTry(ports, agent) && ports.grants.check(grantedInstance(instanceId, fn), agent.id, grant) !== undefined) return true;
  noteRefused(ports, agent, { instance_id: instanceId });
  outgoingOf(agent).stopInstances.push({ instanceId, cause: Cause.IDLE });
  return false;
}

/** Whether what an agent shows is looked at: checking is work, and one that has shown so much that was wrong gets none done for a while. */
function mayTry({ clock }: SchedulerPorts, { refused }: Agent): boolean {
  const nowMs = clock.monotonic();
  if (nowMs - refused.sinceMs > REFUSED_WITHIN_MS) Object.assign(refused, { count: 0, sinceMs: nowMs });
  return refused.count < MOST_REFUSED;
}

function noteRefused({ counters, log, claimRepeats }: SchedulerPorts, agent: Agent, what: Readonly<Record<string, string | number>>): void {
  agent.refused.count++;
  counters.agent_claims_refused_total++;
  const count = claimRepeats.note(agent.id);
  if (count !== undefined) log.warn('an agent spoke of something that it was not given', { agent_id: agent.id, ...what, count });
}

function transfer(ports: SchedulerPorts, attempt: ScheduledAttempt, agent: Agent, issuedMs: number): void {
  const { instance } = attempt;
  const before = instance?.agent ?? ports.cluster.agents.get(attempt.assignment.runningOnAgentId);
  if (before) stopStale(attempt, before, attempt.assignment.attempt);
  if (instance?.attempt === attempt) instance.attempt = undefined;
  attempt.instance = undefined;
  attempt.started = undefined;
  attempt.assignment = { ...attempt.assignment, runningOnAgentId: agent.id };
  attempt.adoptedMs = issuedMs;
}
