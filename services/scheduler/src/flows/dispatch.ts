import type { DispatchRequest, DispatchResponse } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { MESSAGE_BYTES, reportBytes } from '@evenfall/event-model';
import { forgetAttempt } from '../domain/cluster.ts';
import { outgoingOf } from '../domain/messages.ts';
import type { Pool, ReportSink } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';
import { flushAgents } from './flush.ts';
import { takeAgents } from './know-agents.ts';
import { placeAttempts } from './place-attempts.ts';
import { takeAssignment, takeStop } from './take-assignment.ts';
import { speaksFor, takeClaim } from './take-claim.ts';

/** Takes a queue replica's batch in. */
export function takeDispatch(ports: SchedulerPorts, batch: DispatchRequest, sink: ReportSink): void {
  for (const { eventId, attempt } of batch.acks) {
    const live = ports.cluster.attempts.get(eventId);
    if (!live || live.assignment.attempt !== attempt) continue;
    const agent = ports.cluster.agents.get(live.instance?.agent.id ?? live.assignment.runningOnAgentId);
    if (agent?.send) outgoingOf(agent).acks.push({ eventId, attempt });
    forgetAttempt(ports.cluster, live);
  }
  takeAgents(ports, sink, batch);
  const pools = new Set<Pool>();
  for (const { partition, epoch } of batch.claims) takeClaim(ports, partition, epoch, sink);
  for (const assignment of batch.assignments) {
    if (!speaksFor(ports.cluster, sink, assignment.partition)) continue; // it has a successor, and does not know it yet
    const pool = takeAssignment(ports, assignment, sink);
    if (pool) pools.add(pool);
  }
  for (const stop of batch.stops) if (speaksFor(ports.cluster, sink, stop.partition ?? 0)) takeStop(ports, stop, sink);
  // An agent all replicas know of now is room for everybody who waits.
  if (batch.agents) for (const pool of ports.cluster.pools.values()) if (pool.waiting.size > 0) pools.add(pool);
  for (const pool of pools) placeAttempts(ports, pool);
  flushAgents(ports);
}

/** Collects reports and hands them on once a turn, or as soon as they fill a message. */
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
