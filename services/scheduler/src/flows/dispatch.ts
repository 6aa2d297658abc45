import type { DispatchRequest, DispatchResponse } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { MESSAGE_BYTES, reportBytes } from '@evenfall/event-model';
import { forgetAttempt } from '../domain/cluster.ts';
import { outgoingOf } from '../domain/messages.ts';
import type { Pool, ReportSink } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';
import { flushAgents } from './flush.ts';
import { applyAgentSet } from './agent-sets.ts';
import { placeAttempts } from './place-attempts.ts';
import { applyAssignment, applyStop } from './apply-assignment.ts';
import { isOwner, applyClaim } from './apply-claim.ts';

/** Applies a batch of a queue replica. */
export function applyDispatch(ports: SchedulerPorts, batch: DispatchRequest, sink: ReportSink): void {
  for (const { eventId, attempt } of batch.acks) {
    const scheduled = ports.cluster.attempts.get(eventId);
    if (!scheduled || scheduled.assignment.attempt !== attempt) continue;
    const agent = ports.cluster.agents.get(scheduled.instance?.agent.id ?? scheduled.assignment.runningOnAgentId);
    if (agent?.send) outgoingOf(agent).acks.push({ eventId, attempt });
    forgetAttempt(ports.cluster, scheduled);
  }
  applyAgentSet(ports, sink, batch);
  const pools = new Set<Pool>();
  for (const { partition, epoch } of batch.claims) applyClaim(ports, partition, epoch, sink);
  for (const assignment of batch.assignments) {
    if (!isOwner(ports.cluster, sink, assignment.partition)) continue; // the partition has a new owner, and this one does not know it yet
    const pool = applyAssignment(ports, assignment, sink);
    if (pool) pools.add(pool);
  }
  for (const stop of batch.stops) if (isOwner(ports.cluster, sink, stop.partition ?? 0)) applyStop(ports, stop, sink);
  // An agent that all replicas have acknowledged now may serve any waiting attempt.
  if (batch.agents) for (const pool of ports.cluster.pools.values()) if (pool.waiting.size > 0) pools.add(pool);
  for (const pool of pools) placeAttempts(ports, pool);
  flushAgents(ports);
}

/** Collects reports and sends them once per turn of the event loop, or as soon as they fill a message. */
export function createReportSink(send: (batch: DispatchResponse) => void): ReportSink {
  let batch: DispatchResponse | undefined;
  let bytes = 0;
  const flush = (): void => {
    const ready = batch;
    batch = undefined;
    bytes = 0;
    if (ready) send(ready);
  };
  const open = (more = 0): DispatchResponse => {
    if (batch && bytes > 0 && bytes + more > MESSAGE_BYTES) flush();
    bytes += more;
    if (!batch) {
      batch = { reports: [], claims: [], agents: undefined };
      queueMicrotask(flush);
    }
    return batch;
  };
  return {
    claims: new Map(),
    report: (report) => void open(reportBytes(report)).reports.push(report),
    claimed: (partition, epoch) => void open().claims.push({ partition, epoch }),
    agents: (agents) => void (open().agents = agents),
  };
}
