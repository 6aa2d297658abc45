import type { Drain, DrainAgentRequest, DrainAgentResponse } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { refuse } from '@evenfall/errors';
import { msOfDuration } from '@evenfall/time';
import { noteShort } from '../domain/cluster.ts';
import { outgoingOf } from '../domain/messages.ts';
import type { Agent } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';
import { flushAgent } from './flush.ts';
import { agentMessage } from './list.ts';

/** Has an agent drained: from now on nothing new goes to it. The rest is the agent's, which says how far it is by what it holds. */
export function drainAgent(ports: SchedulerPorts, request: DrainAgentRequest): DrainAgentResponse {
  const agent = ports.cluster.agents.get(request.agentId);
  if (!agent?.send) throw refuse('AGENT_NOT_FOUND', { agent_id: request.agentId });
  const withinMs = msOfDuration(request.deadline);
  noteDrain(ports, agent, { deadline: request.deadline });
  outgoingOf(agent).drain = { deadline: request.deadline };
  ports.log.info('an agent is asked to drain', { agent_id: agent.id, ...(withinMs === undefined ? {} : { within_ms: withinMs }) });
  flushAgent(agent);
  return { agent: agentMessage(agent) };
}

/** Notes that an agent drains, and until when; its deadline only ever comes nearer. */
export function noteDrain(ports: SchedulerPorts, agent: Agent, { deadline }: Drain): void {
  for (const { pool } of agent.instances.values()) noteShort(pool); // they have to be elsewhere
  const withinMs = msOfDuration(deadline);
  const requestedMs = withinMs === undefined ? undefined : ports.clock.now() + withinMs;
  const knownMs = agent.drain?.deadlineTimeMs;
  agent.drain = { deadlineTimeMs: requestedMs === undefined ? knownMs : Math.min(requestedMs, knownMs ?? requestedMs) };
}
