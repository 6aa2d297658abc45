import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { RecordsRefused } from '@evenfall/event-log';
import { reducedRecord } from '@evenfall/event-model';
import { createBackoff } from '@evenfall/time';
import type { Appended, Outgoing } from '../domain/types.ts';
import type { QueuePorts } from '../ports.ts';

const RETRY = { firstMs: 50, mostMs: 2_000 };

export type AppendTerms = {
  readonly partition: number;
  /** Whether the tenure goes on: if not, nothing more is written. */
  readonly isCurrent: () => boolean;
  /** Called when an append failed and is retried, and without an error when one succeeded. */
  readonly onTry: (error: unknown) => void;
  /** Called with a record that was replaced, or left out where nothing of it can be written. */
  readonly onRefused: (isReplaced: boolean) => void;
};

/**
 * Appends records until they are in the log. A transient failure is retried with back-off; of records that are refused for good the one at fault is
 * found by halving, and replaced by one that says so: its event goes on, and so do its neighbours. Undefined once the tenure has ended.
 */
export async function appendRecords(ports: QueuePorts, records: readonly Outgoing[], terms: AppendTerms): Promise<Appended | undefined> {
  const pieces: (readonly Outgoing[])[] = [records];
  const written: Outgoing[] = [];
  const replacements = new Set<EventRecord>();
  let end = 0;
  for (let piece = pieces.shift(); piece; piece = pieces.shift()) {
    const refused = await appendPiece(ports, piece, terms);
    if (refused === undefined) return undefined;
    if (typeof refused === 'number') {
      end = refused;
      written.push(...piece);
      continue;
    }
    const [only] = piece;
    if (only && piece.length === 1) {
      const replacement = replacements.has(only.record) ? undefined : replaced(ports, only, refused, terms);
      if (!replacement) continue;
      replacements.add(replacement.record);
      pieces.unshift([replacement]);
    } else {
      const half = piece.length >> 1;
      pieces.unshift(piece.slice(0, half), piece.slice(half));
    }
  }
  return { end, written };
}

/** The offset after the last record, why they are refused for good, or nothing once the tenure has ended. */
async function appendPiece(
  ports: QueuePorts,
  piece: readonly Outgoing[],
  { partition, isCurrent, onTry }: AppendTerms,
): Promise<number | RecordsRefused | undefined> {
  const records = piece.map(({ record }) => record);
  const backoff = createBackoff(RETRY);
  while (isCurrent()) {
    try {
      const end = await ports.eventLog.append(partition, records);
      onTry(undefined);
      return isCurrent() ? end : undefined;
    } catch (error) {
      if (error instanceof RecordsRefused) return error;
      if (!isCurrent()) return undefined;
      onTry(error);
      ports.log.warn('appending to the event log failed; trying again', { partition, records: records.length, error: String(error) });
      await new Promise((resolve) => setTimeout(resolve, backoff.next()));
    }
  }
  return undefined;
}

/** The record that is written instead; undefined where there is none. Said once for each record. */
function replaced(ports: QueuePorts, { subject, record }: Outgoing, refused: RecordsRefused, terms: AppendTerms): Outgoing | undefined {
  const replacement = reducedRecord(record, refused.message);
  terms.onRefused(replacement !== undefined);
  ports.log.error('the event log refuses a record for good; one that says so is written instead', refused, {
    partition: terms.partition,
    event_id: record.eventId,
    attempt: record.attempt,
    change: record.change?.$case ?? '',
    replaced: replacement !== undefined,
  });
  return replacement && { subject, record: replacement };
}
