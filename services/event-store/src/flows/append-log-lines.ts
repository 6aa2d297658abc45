import type { StoredLogLine } from '@evenfall/contracts/event_store/v1/event_store_service';
import { isUuid } from '@evenfall/time';
import type { Watchers } from '../domain/watchers.ts';
import type { LogTable, Partitions } from '../ports.ts';

/** An agent's clock that is ahead by more is taken for wrong. */
const AHEAD_MS = 3_600_000;

/**
 * Stores lines and wakes those who follow their events. Dropped are lines that belong to nothing, since they could never be read, and lines past
 * the retention. One from the future is taken as of now: its partition would outlive all others.
 */
export async function appendLogLines(
  ports: { logs: LogTable; partitions: Partitions; watchers: Watchers; retentionMs: number },
  lines: readonly StoredLogLine[],
): Promise<void> {
  const nowMs = Date.now();
  const good: StoredLogLine[] = [];
  for (const one of lines) {
    const timeMs = one.line?.time?.getTime();
    if (!one.line || timeMs === undefined || !isUuid(one.eventId) || timeMs < nowMs - ports.retentionMs) continue;
    good.push(timeMs > nowMs + AHEAD_MS ? { ...one, line: { ...one.line, time: new Date(nowMs) } } : one);
  }
  if (good.length === 0) return;
  await ports.partitions.ensure(good.map((line) => line.line?.time?.getTime() ?? 0));
  await ports.logs.append(good);
  for (const id of new Set(good.map((line) => line.eventId))) ports.watchers.tell(id);
}
