import type { StoredLogLine } from '@evenfall/contracts/event_store/v1/event_store_service';
import { isUuid } from '@evenfall/time';
import type { Watchers } from '../domain/watchers.ts';
import type { LogTable, Partitions } from '../ports.ts';

/** Stores lines and wakes those who follow their events. Lines that belong to nothing are dropped: they could never be read. */
export async function appendLogLines(
  ports: { logs: LogTable; partitions: Partitions; watchers: Watchers },
  lines: readonly StoredLogLine[],
): Promise<void> {
  const good = lines.filter((line) => line.line?.time && isUuid(line.eventId));
  if (good.length === 0) return;
  await ports.partitions.ensure(good.map((line) => line.line?.time?.getTime() ?? 0));
  await ports.logs.append(good);
  for (const id of new Set(good.map((line) => line.eventId))) ports.watchers.tell(id);
}
