import type { AgentSet, DispatchRequest } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { forgetAttempt, poolOf, removeWaiting } from '../domain/cluster.ts';
import { revokedReport } from '../domain/messages.ts';
import type { Agent, ScheduledAttempt, Pool, ReportSink } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';

// Recovery of a scheduler. A scheduler that dies loses its state, and its agents still hold attempts. The next scheduler may assign an attempt that the
// previous one may have dispatched only once every agent of the previous one has reported what it holds, or its lease has run out. The queue replicas know
// these agents: the scheduler sends them the set of agents, and assigns no work to an agent before all replicas have acknowledged a set that includes it.

/** Whether the recovery window of this scheduler is open: agents may still report attempts that it does not know. */
export function isRecovering({ clock, startedMs, leaseMs }: SchedulerPorts): boolean {
  return clock.monotonic() - startedMs < leaseMs;
}

/** Whether it is certain that no agent holds an attempt that was just assigned to this scheduler. */
export function isSafeToAssign(ports: SchedulerPorts, { assignment, sink }: Pick<ScheduledAttempt, 'assignment' | 'sink'>): boolean {
  if (!assignment.mayBeDispatched || isRecoveryComplete(ports)) return true;
  return ports.cluster.streams.get(sink)?.awaited?.size === 0;
}

/** Registers the stream of a queue replica. */
export function openStream({ cluster }: SchedulerPorts, sink: ReportSink, close: () => void): void {
  cluster.streams.set(sink, {
    close,
    hasReportedAgents: false,
    awaited: undefined,
    sentVersion: 0,
    acknowledgedVersion: 0,
    unacknowledgedSinceMs: undefined,
  });
}

/** Removes a stream, and its attempts that wait for an instance: the next stream assigns them again, and may know of other agents by then. */
export function closeStream(ports: SchedulerPorts, sink: ReportSink): void {
  const { cluster } = ports;
  if (!cluster.streams.delete(sink)) return;
  for (const [partition, owner] of cluster.owners) if (owner === sink) cluster.owners.delete(partition);
  for (const attempt of [...cluster.attempts.values()])
    if (attempt.sink === sink && removeWaiting(cluster, attempt)) forgetAttempt(cluster, attempt);
  updateAcknowledged(ports);
}

/** Applies the agent set of a replica: first the agents it knew of before, later an acknowledgement of the set that was sent to it. */
export function applyAgentSet(ports: SchedulerPorts, sink: ReportSink, { agents }: DispatchRequest): void {
  const { cluster } = ports;
  const stream = cluster.streams.get(sink);
  if (!stream) return;
  if (!stream.hasReportedAgents) {
    stream.hasReportedAgents = true;
    const agentIds = isRecoveryComplete(ports) ? [] : (agents?.agentIds ?? []).filter((id) => !cluster.reportedAgents.has(id));
    if (agents?.isComplete) stream.awaited = new Set(agentIds);
    if (agentIds.length > 0) ports.log.info('waits for agents of the previous scheduler', { agent_ids: agentIds.join(' ') });
    sendAgentSets(ports);
  } else if (agents?.version === stream.sentVersion) {
    stream.acknowledgedVersion = stream.sentVersion;
    stream.unacknowledgedSinceMs = undefined;
    updateAcknowledged(ports);
  }
}

/** Notes that an agent has attached and has reported what it holds. */
export function noteAttached(ports: SchedulerPorts, agent: Agent): void {
  const { cluster } = ports;
  if (cluster.reportedAgents.has(agent.id) && cluster.agents.get(agent.id)?.isAcknowledged) return;
  cluster.reportedAgents.add(agent.id);
  for (const { awaited } of cluster.streams.values()) awaited?.delete(agent.id);
  sendAgentSets(ports);
  updateAcknowledged(ports);
}

/** Sends every replica the set of agents. */
export function sendAgentSets(ports: SchedulerPorts): void {
  const { cluster } = ports;
  const agentIds = new Set(cluster.agents.keys());
  if (!isRecoveryComplete(ports)) for (const { awaited } of cluster.streams.values()) for (const id of awaited ?? []) agentIds.add(id);
  for (const [sink, stream] of cluster.streams) {
    if (!stream.hasReportedAgents) continue;
    const agentSet: AgentSet = {
      agentIds: [...agentIds],
      isComplete: stream.awaited !== undefined || isRecoveryComplete(ports),
      version: ++stream.sentVersion,
    };
    sink.agents?.(agentSet);
    stream.unacknowledgedSinceMs ??= ports.clock.monotonic();
  }
}

/** Releases held attempts that are safe to assign now. Returns the pools that have something new to place. */
export function releaseHeld(ports: SchedulerPorts): Set<Pool> {
  const { cluster } = ports;
  const pools = new Set<Pool>();
  for (const attempt of cluster.held) {
    if (!isSafeToAssign(ports, attempt)) continue;
    cluster.held.delete(attempt);
    if (attempt.stop) {
      forgetAttempt(cluster, attempt);
      attempt.sink.report(revokedReport(attempt.assignment));
      continue;
    }
    const { namespace, function: fn, version } = attempt.assignment;
    const pool = poolOf(cluster, namespace, fn, version);
    if (pool.waiting.size === 0) pool.lastProgressMs = ports.clock.monotonic();
    pool.waiting.push(attempt);
    pools.add(pool);
  }
  return pools;
}

/** One round: ends the recovery, and closes streams of replicas that do not acknowledge, so that they cannot keep agents from being used. */
export function maintainStreams(ports: SchedulerPorts): void {
  const { cluster, clock, leaseMs } = ports;
  if (!cluster.isRecoveryComplete && isRecoveryComplete(ports)) {
    cluster.isRecoveryComplete = true;
    sendAgentSets(ports);
  }
  for (const { unacknowledgedSinceMs, close } of [...cluster.streams.values()])
    if (unacknowledgedSinceMs !== undefined && clock.monotonic() - unacknowledgedSinceMs > leaseMs / 3) close();
}

/** Whether no agent can hold an attempt of a previous scheduler any more: their leases have run out, or they ended with it. */
function isRecoveryComplete(ports: SchedulerPorts): boolean {
  return !ports.isShared || !isRecovering(ports);
}

/** Updates which agents all replicas have acknowledged. A replica that connects later does not make an agent unacknowledged. */
function updateAcknowledged({ cluster }: SchedulerPorts): void {
  for (const { sentVersion, acknowledgedVersion } of cluster.streams.values()) if (sentVersion !== acknowledgedVersion) return;
  for (const agent of cluster.agents.values()) agent.isAcknowledged = true;
}
