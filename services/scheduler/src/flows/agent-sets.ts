import type { AgentSet, DispatchRequest } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { forgetAttempt, poolOf, removeWaiting } from '../domain/cluster.ts';
import { revokedReport } from '../domain/messages.ts';
import type { Agent, ScheduledAttempt, Pool, ReportSink } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';

// What a scheduler forgets when it dies, its agents go on holding. The next one may give an attempt that the one before it may have given away
// only once every agent there was has said what it holds, or has had a lease to say it. Who there was, the queue replicas know: they are told, and
// no agent is given anything before all of them have said that they heard of it.

/** Whether this scheduler may still hear of what it does not know. */
export function isRecovering({ clock, startedMs, leaseMs }: SchedulerPorts): boolean {
  return clock.monotonic() - startedMs < leaseMs;
}

/** Whether it is certain that no agent holds an attempt that this scheduler has just been asked for. */
export function isSafeToAssign(ports: SchedulerPorts, { assignment, sink }: Pick<ScheduledAttempt, 'assignment' | 'sink'>): boolean {
  if (!assignment.mayBeDispatched || isRecoveryComplete(ports)) return true;
  return ports.cluster.streams.get(sink)?.awaited?.size === 0;
}

/** Takes a queue replica's stream in. */
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

/** Lets a stream go, and what waits for an agent with it: the next stream asks for it again, and may know of other agents by then. */
export function closeStream(ports: SchedulerPorts, sink: ReportSink): void {
  const { cluster } = ports;
  if (!cluster.streams.delete(sink)) return;
  for (const [partition, owner] of cluster.owners) if (owner === sink) cluster.owners.delete(partition);
  for (const attempt of [...cluster.attempts.values()])
    if (attempt.sink === sink && removeWaiting(cluster, attempt)) forgetAttempt(cluster, attempt);
  updateAcknowledged(ports);
}

/** Takes what a replica says of the agents: at first whom it knew of before, later that it has heard what it was told. */
export function applyAgentSet(ports: SchedulerPorts, sink: ReportSink, { agents }: DispatchRequest): void {
  const { cluster } = ports;
  const stream = cluster.streams.get(sink);
  if (!stream) return;
  if (!stream.hasReportedAgents) {
    stream.hasReportedAgents = true;
    const agentIds = isRecoveryComplete(ports) ? [] : (agents?.agentIds ?? []).filter((id) => !cluster.reportedAgents.has(id));
    if (agents?.isComplete) stream.awaited = new Set(agentIds);
    if (agentIds.length > 0) ports.log.info('waits for agents of the scheduler before', { agent_ids: agentIds.join(' ') });
    sendAgentSets(ports);
  } else if (agents?.version === stream.sentVersion) {
    stream.acknowledgedVersion = stream.sentVersion;
    stream.unacknowledgedSinceMs = undefined;
    updateAcknowledged(ports);
  }
}

/** Takes in that an agent has said what it holds. */
export function noteAttached(ports: SchedulerPorts, agent: Agent): void {
  const { cluster } = ports;
  if (cluster.reportedAgents.has(agent.id) && cluster.agents.get(agent.id)?.isAcknowledged) return;
  cluster.reportedAgents.add(agent.id);
  for (const { awaited } of cluster.streams.values()) awaited?.delete(agent.id);
  sendAgentSets(ports);
  updateAcknowledged(ports);
}

/** Tells every replica which agents there are. */
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

/** Lets go what was held back and need not be any longer. Answers the pools that have something new to place. */
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

/** One look: a scheduler grows up, and a replica that does not answer must not keep agents from being used. */
export function maintainStreams(ports: SchedulerPorts): void {
  const { cluster, clock, leaseMs } = ports;
  if (!cluster.isRecoveryComplete && isRecoveryComplete(ports)) {
    cluster.isRecoveryComplete = true;
    sendAgentSets(ports);
  }
  for (const { unacknowledgedSinceMs, close } of [...cluster.streams.values()])
    if (unacknowledgedSinceMs !== undefined && clock.monotonic() - unacknowledgedSinceMs > leaseMs / 3) close();
}

/** Whether nobody can come back with something of an earlier scheduler: those who had it have lost their lease, or ended with it. */
function isRecoveryComplete(ports: SchedulerPorts): boolean {
  return !ports.isShared || !isRecovering(ports);
}

/** Works out which agents all replicas know of. A replica that comes later knows nothing until it is told, and says so: it makes none unknown. */
function updateAcknowledged({ cluster }: SchedulerPorts): void {
  for (const { sentVersion, acknowledgedVersion } of cluster.streams.values()) if (sentVersion !== acknowledgedVersion) return;
  for (const agent of cluster.agents.values()) agent.isAcknowledged = true;
}
