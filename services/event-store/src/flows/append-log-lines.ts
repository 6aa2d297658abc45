import type { AppendLogLinesRequest, StoredLogLine } from '@evenfall/contracts/event_store/v1/event_store_service';
import type { GrantChecker } from '@evenfall/grants';
import type { Counters, Log, Repeats } from '@evenfall/telemetry';
import type { Watchers } from '../domain/watchers.ts';
import type { LogTable, Partitions } from '../ports.ts';
import { grantedLines } from './granted-lines.ts';

export type LinePorts = {
  readonly logs: LogTable;
  readonly partitions: Partitions;
  readonly watchers: Watchers;
  /** How long lines are kept. */
  readonly retentionMs: number;
  readonly grants: GrantChecker;
  readonly log: Log;
  /** By agent. */
  readonly refusedRepeats: Repeats;
  readonly counters: Counters<'log_lines_refused_total'>;
};

/** An agent's clock that is ahead by more is taken for wrong. */
const AHEAD_MS = 3_600_000;

/**
 * Stores lines and wakes those who follow their events. Dropped are lines past the retention, and those that are not their agent's to say: it answers
 * how many these were. One from the future is taken as of now: its partition would outlive all others.
 */
export async function appendLogLines(ports: LinePorts, request: AppendLogLinesRequest): Promise<{ refusedCount: number }> {
  const granted = await grantedLines(ports.grants, request);
  const refusedCount = request.lines.length - granted.length;
  if (refusedCount > 0) noteRefused(ports, request.agentId, refusedCount);
  const nowMs = Date.now();
  const good: StoredLogLine[] = [];
  for (const one of granted) {
    const timeMs = one.line?.time?.getTime() ?? NaN;
    if (!one.line || !(timeMs >= nowMs - ports.retentionMs)) continue; // no time either
    good.push(timeMs > nowMs + AHEAD_MS ? { ...one, line: { ...one.line, time: new Date(nowMs) } } : one);
  }
  if (good.length === 0) return { refusedCount };
  await ports.partitions.ensure(good.map((line) => line.line?.time?.getTime() ?? 0));
  await ports.logs.append(good);
  for (const id of new Set(good.map((line) => line.eventId))) ports.watchers.notify(id);
  return { refusedCount };
}

function noteRefused({ counters, log, refusedRepeats }: LinePorts, agentId: string, lines: number): void {
  counters.log_lines_refused_total += lines;
  const count = refusedRepeats.note(agentId);
  if (count !== undefined) log.warn('an agent sent log lines that it may not store', { agent_id: agentId, lines, count });
}
