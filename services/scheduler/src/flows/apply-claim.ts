import { type Cluster, forgetAttempt, removeWaiting } from '../domain/cluster.ts';
import { endedReport, startedReport } from '../domain/messages.ts';
import type { ReportSink } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';

/** Whether a stream speaks for a partition: its claim is the newest there is. */
export function isOwner(cluster: Cluster, sink: ReportSink, partition: number): boolean {
  const claim = sink.claims?.get(partition);
  return claim !== undefined && claim === cluster.epochs.get(partition);
}

/**
 * Takes a queue replica's claim to a partition in. What its predecessor dispatched and what has not gone to an instance is forgotten: the new
 * owner dispatches it again where it still wants it. What has gone is the new owner's from now on: it is told all that is known. So is a replica
 * that follows itself: between two ownerships it takes no reports, and in the second it knows no more than the log.
 */
export function applyClaim(ports: SchedulerPorts, partition: number, epoch: bigint, sink: ReportSink): void {
  const { cluster } = ports;
  const newest = cluster.epochs.get(partition) ?? -1n;
  if (epoch < newest) return;
  cluster.epochs.set(partition, epoch);
  sink.claims?.set(partition, epoch);
  cluster.owners.set(partition, sink);
  for (const attempt of [...cluster.attempts.values()]) {
    const { assignment } = attempt;
    if (assignment.synchronous || assignment.partition !== partition) continue; // a caller's is in no partition
    if (attempt.sink === sink && epoch === newest) continue; // it has been told
    if (removeWaiting(cluster, attempt)) {
      forgetAttempt(cluster, attempt);
      continue;
    }
    attempt.sink = sink;
    if (attempt.started) sink.report(startedReport(assignment, attempt.started));
    if (attempt.ended) sink.report(endedReport(assignment, attempt.ended, attempt.endedBy));
  }
  sink.claimed?.(partition, epoch);
}
