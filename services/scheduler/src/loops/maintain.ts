import { Termination_Cause as Cause } from '@evenfall/contracts/v1/termination';
import { superviseLoop } from '@evenfall/lifecycle';
import { delay } from '@evenfall/time';
import { NO_SINK } from '../domain/adopt.ts';
import { canSpare } from '../domain/account.ts';
import { dropPool, forgetAttempt, removeInstance } from '../domain/cluster.ts';
import { isOutdated } from '../domain/revisions.ts';
import { outgoingOf } from '../domain/messages.ts';
import type { Pool } from '../domain/types.ts';
import { detachAgent, loseAttempt } from '../flows/attach-agent.ts';
import { flushAgents } from '../flows/flush.ts';
import { returnToQueue } from '../flows/return-to-queue.ts';
import { releaseHeld, sendAgentSets, maintainStreams } from '../flows/agent-sets.ts';
import { keepProvisioned } from '../flows/keep-provisioned.ts';
import { shedSurplus } from '../flows/make-room.ts';
import { placeAttempts } from '../flows/place-attempts.ts';
import { stopInstance } from '../flows/stop-instance.ts';
import type { SchedulerPorts } from '../ports.ts';

const ROUND_MS = 25;

/** Periodic work that no message triggers: attempts that wait too long, instances that idle too long, agents that are gone. */
export function runMaintenance(ports: SchedulerPorts, idleMs: number, signal: AbortSignal): Promise<void> {
  const onFailure = (error: unknown): void => ports.log.error('maintenance of the cluster failed', error);
  return superviseLoop({ name: 'maintenance', signal, onFailure }, async () => {
    maintain(ports, idleMs);
    await delay(ROUND_MS, signal);
  });
}

/** One round. */
export function maintain(ports: SchedulerPorts, idleMs: number): void {
  const { cluster, leaseMs, startedMs } = ports;
  const nowMs = ports.clock.monotonic();
  for (const pool of cluster.pools.values()) {
    if (pool.waiting.size > 0) placeAttempts(ports, pool);
    if (pool.waiting.size > 0) returnToQueue(ports, pool);
    if (pool.idle.length > 0) shedSurplus(ports, pool);
    if (pool.settling > 0)
      for (const instance of [...pool.instances])
        if (instance.state === 'SETTLING' && nowMs - instance.idleSinceMs > idleMs) stopInstance(ports, instance, Cause.IDLE);
    for (const instance of [...pool.idle])
      if (nowMs - instance.idleSinceMs > idleMs && canSpare(pool)) stopInstance(ports, instance, Cause.IDLE);
    if (pool.isMixed) pool.isMixed = [...pool.instances].some(isOutdated);
    if (isForgotten(pool) && nowMs - pool.lastProgressMs > idleMs) dropPool(cluster, pool);
  }
  // A scheduler that was stalled for long has received nothing meanwhile: its agents get a full lease from now on.
  const wasStalled = nowMs - ports.lastMaintenanceMs > leaseMs / 3;
  ports.lastMaintenanceMs = nowMs;
  for (const agent of cluster.agents.values()) {
    if (wasStalled && agent.send) agent.lastSeenMs = nowMs;
    if (agent.send && nowMs - agent.lastSeenMs >= leaseMs) {
      // Its stream is open and it is silent, as a stopped process is. It gets another lease only by a new hello.
      agent.close?.();
      detachAgent(agent);
    }
    if (agent.send || nowMs - agent.lastSeenMs < leaseMs) continue;
    ports.log.warn('an agent is lost', { agent_id: agent.id, instances: agent.instances.size });
    for (const attempt of [...cluster.attempts.values()])
      if (attempt.instance?.agent === agent && !attempt.ended) loseAttempt(ports, attempt);
    for (const instance of [...agent.instances.values()]) removeInstance(instance, nowMs);
    cluster.agents.delete(agent.id);
    sendAgentSets(ports);
  }
  maintainStreams(ports);
  for (const pool of releaseHeld(ports)) placeAttempts(ports, pool);
  // Attempts whose agent never attached again: a scheduler in recovery waits a lease for it.
  if (nowMs - startedMs >= leaseMs) {
    for (const attempt of cluster.attempts.values()) {
      const { eventId, attempt: number, runningOnAgentId, synchronous } = attempt.assignment;
      if (attempt.ended && attempt.sink === NO_SINK && synchronous) {
        // Its caller asked another scheduler, and is gone.
        const agent = cluster.agents.get(runningOnAgentId);
        if (agent?.send) outgoingOf(agent).acks.push({ eventId, attempt: number });
        forgetAttempt(cluster, attempt);
        continue;
      }
      if (runningOnAgentId === '' || attempt.ended || cluster.agents.has(runningOnAgentId)) continue;
      if (nowMs - attempt.sentMs >= leaseMs) loseAttempt(ports, attempt);
    }
  }
  keepProvisioned(ports);
  flushAgents(ports);
}

function isForgotten({ instances, waiting, provisioned }: Pool): boolean {
  return instances.size === 0 && waiting.size === 0 && provisioned === 0;
}
