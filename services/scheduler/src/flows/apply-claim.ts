import { type Cluster, forgetAttempt, removeWaiting } from '../domain/cluster.ts';
import { endedReport, startedReport } from '../domain/messages.ts';
import type { ReportSink } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';

/** Whether a stream owns a partition: its claim is the newest one. */
export function isOwner(cluster: Cluster, sink: ReportSink, partition: number): boolean {
  const claim = sink.claims?.get(partition);
  return claim !== undefined && claim === cluster.epochs.get(partition);
}

/**
 * Applies a queue replica's claim to a partition. Attempts of the previous owner that no instance has are dropped: the new owner dispatches
 * them again if it still wants them. All other attempts move to the new owner, and everything known of them is reported to it. The same holds for a
 * replica that owns the partition again: it got no reports in between, and knows only what is in the log.
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
    if (assignment.synchronous || assignment.partition !== partition) continue; // synchronous calls have no partition
    if (attempt.sink === sink && epoch === newest) continue; // all is reported already
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
