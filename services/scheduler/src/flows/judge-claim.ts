import type { AttemptKey } from '@evenfall/contracts/attempt/v1/attempt';
import { adoptAttempt, forcedStop, foundAt, holderOf, stopStale } from '../domain/adopt.ts';
import { outgoingOf } from '../domain/messages.ts';
import type { Agent, LiveAttempt } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';
import { isYoung } from './know-agents.ts';

/** What an agent says of an attempt is believed, is of the past, or is not its to say. */
export type Claim = { readonly kind: 'HOLDER'; readonly attempt: LiveAttempt } | { readonly kind: 'STALE' | 'REFUSED' };

const STALE: Claim = { kind: 'STALE' };
const REFUSED: Claim = { kind: 'REFUSED' };

/**
 * Whether an agent may speak of an attempt. What this scheduler gave away it remembers, and what has started the log knows; of all else the agent
 * shows the grant that its assignment came with. An attempt that nobody here knows is adopted by it. Hot.
 */
export function judgeClaim(ports: SchedulerPorts, agent: Agent, key: AttemptKey): Claim {
  const { cluster, clock, grants } = ports;
  const known = cluster.attempts.get(key.eventId);
  if (known && known.assignment.attempt !== key.attempt) return STALE;
  const holder = known && holderOf(known);
  if (known && holder === agent.id) return { kind: 'HOLDER', attempt: known };
  const issuedMs = grants.check(key, agent.id, key.grant);
  if (issuedMs === undefined) return refuseClaim(ports, agent, key);
  if (!known) return { kind: 'HOLDER', attempt: adoptAttempt(cluster, agent, key, clock.monotonic(), issuedMs) };
  if (holder === '') {
    foundAt(cluster, known, agent);
    known.assignment = { ...known.assignment, runningOnAgentId: agent.id };
    known.adoptedMs = issuedMs;
    return { kind: 'HOLDER', attempt: known };
  }
  // Two agents have grants: the one that was given it last has it, the other gave it back once.
  if (known.adoptedMs === undefined || known.adoptedMs >= issuedMs || known.ended) return STALE;
  takeOver(ports, known, agent, issuedMs);
  return { kind: 'HOLDER', attempt: known };
}

/** Answers a claim that is of the past, so that the agent does not go on with it. `isEnded` says that it keeps the outcome. */
export function endClaim(ports: SchedulerPorts, agent: Agent, claim: Claim['kind'], key: AttemptKey, isEnded: boolean): void {
  const known = ports.cluster.attempts.get(key.eventId);
  // Refused, of an event nobody has spoken of: the queue may still say that it runs there, as it knows from the log, and gives it a grant then.
  if (claim === 'REFUSED' && !known && isYoung(ports)) return;
  if (isEnded) outgoingOf(agent).acks.push({ eventId: key.eventId, attempt: key.attempt });
  else if (known) stopStale(known, agent, key.attempt);
  else outgoingOf(agent).stops.push(forcedStop(key));
}

function refuseClaim({ counters, log, claimRepeats }: SchedulerPorts, agent: Agent, { eventId, attempt }: AttemptKey): Claim {
  counters.agent_claims_refused_total++;
  const count = claimRepeats.note(agent.id);
  if (count !== undefined)
    log.warn('an agent spoke of an attempt that it was not given', { agent_id: agent.id, event_id: eventId, attempt, count });
  return REFUSED;
}

function takeOver(ports: SchedulerPorts, attempt: LiveAttempt, agent: Agent, issuedMs: number): void {
  const { instance } = attempt;
  const before = instance?.agent ?? ports.cluster.agents.get(attempt.assignment.runningOnAgentId);
  if (before) stopStale(attempt, before, attempt.assignment.attempt);
  if (instance?.attempt === attempt) instance.attempt = undefined;
  attempt.instance = undefined;
  attempt.started = undefined;
  attempt.assignment = { ...attempt.assignment, runningOnAgentId: agent.id };
  attempt.adoptedMs = issuedMs;
}
