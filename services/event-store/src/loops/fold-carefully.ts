import { EventRecord } from '@evenfall/contracts/log/v1/record';
import type { LogBatch } from '@evenfall/event-log';
import { reducedRecord } from '@evenfall/event-model';
import { FoldRefused } from '../domain/fold-refused.ts';
import { countOf, halvesOf } from '../domain/portions.ts';
import type { PutAsideTable } from '../ports.ts';

/** How batches are folded: made out, then written. */
export type FoldSteps = {
  readonly prepare: (batches: readonly LogBatch[]) => Promise<void>;
  readonly write: () => Promise<void>;
  /** Leaves what was taken and not written. */
  readonly dropHeld: () => void;
};

export type CarefulPorts = { readonly steps: FoldSteps; readonly aside: PutAsideTable; readonly onPutAside: (why: PutAsideNote) => void };
export type PutAsideNote = { readonly partition: number; readonly offset: number; readonly eventId: string; readonly reason: string };

/** Replaces a record that is put aside: about no event. */
const NOTHING: EventRecord = { eventId: '', attempt: 0, time: undefined, writerId: '', change: undefined };

/** Whether another try with the same records is of no use. What JavaScript itself refuses (a text that is too long, a time that is none) counts. */
export function isRefused(error: unknown): boolean {
  return error instanceof FoldRefused || error instanceof RangeError || error instanceof TypeError;
}

/**
 * Folds batches of which a record is refused for good: by halving, so that the others are folded, until the one at fault is alone. It is put aside,
 * and what is left of it is folded in its place if that can be: its event goes on. Rejects with what may pass.
 */
export async function foldCarefully(ports: CarefulPorts, batches: readonly LogBatch[]): Promise<void> {
  if (countOf(batches) === 0) return;
  const refused = await tryFold(ports.steps, batches);
  if (refused === undefined) return;
  if (countOf(batches) > 1) {
    for (const half of halvesOf(batches)) await foldCarefully(ports, half);
    return;
  }
  const [batch] = batches;
  const record = batch?.records[0];
  if (batch && record) await putAside(ports, batch, record, refused);
}

/** Nothing once it is folded, or why it never will be. */
async function tryFold({ prepare, write, dropHeld }: FoldSteps, batches: readonly LogBatch[]): Promise<unknown> {
  try {
    await prepare(batches);
    await write();
    return undefined;
  } catch (error) {
    dropHeld();
    if (!isRefused(error)) throw error;
    return error;
  }
}

async function putAside({ steps, aside, onPutAside }: CarefulPorts, batch: LogBatch, record: EventRecord, refused: unknown): Promise<void> {
  const { partition, firstOffset: offset } = batch;
  const reason = refused instanceof Error ? refused.message : String(refused);
  const row = {
    partition,
    offset,
    eventId: record.eventId,
    attempt: record.attempt,
    change: record.change?.$case ?? '',
    reason,
    isReduced: false,
    data: bytesOf(record),
  };
  await aside.add(row); // first: what moves past it without a row would be lost
  const reduced = reducedRecord(record, reason);
  if (reduced && (await tryFold(steps, [{ ...batch, records: [reduced] }])) === undefined) {
    await aside.add({ ...row, isReduced: true });
  } else {
    const still = await tryFold(steps, [{ ...batch, records: [NOTHING] }]);
    if (still !== undefined) {
      await aside.remove(partition, offset); // it is not this record's fault: nothing can be folded
      throw still;
    }
  }
  onPutAside({ partition, offset, eventId: record.eventId, reason });
}

/** Puts aside what could not even be decoded; in its place there is a record that changes nothing already. */
export async function putUnreadableAside({ aside, onPutAside }: Omit<CarefulPorts, 'steps'>, batches: readonly LogBatch[]): Promise<void> {
  for (const { partition, unreadable } of batches) {
    for (const { offset, bytes, error } of unreadable ?? []) {
      const reason = `It cannot be decoded: ${error}`;
      await aside.add({ partition, offset, eventId: '', attempt: 0, change: '', reason, isReduced: false, data: bytes });
      onPutAside({ partition, offset, eventId: '', reason });
    }
  }
}

function bytesOf(record: EventRecord): Uint8Array {
  try {
    return EventRecord.encode(record).finish();
  } catch {
    return new Uint8Array(); // it came from the log, and was changed since
  }
}
