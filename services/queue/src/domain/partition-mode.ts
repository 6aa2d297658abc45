/** Where a replica is with a partition; see `partition-owner`. */
export type PartitionMode = 'NOT_OWNED' | 'ANNOUNCING' | 'RECOVERING' | 'UNCONFIRMED' | 'CONFIRMED';

/** The modes that may follow each mode. A partition can be lost in any of them. */
export const NEXT_MODES: Readonly<Record<PartitionMode, readonly PartitionMode[]>> = {
  NOT_OWNED: ['ANNOUNCING'],
  ANNOUNCING: ['RECOVERING', 'NOT_OWNED'],
  RECOVERING: ['UNCONFIRMED', 'NOT_OWNED'],
  UNCONFIRMED: ['CONFIRMED', 'NOT_OWNED'],
  CONFIRMED: ['NOT_OWNED'],
};

/** Whether decisions may be made in a mode: the partition is owned, and everything before the tenure is known. */
export function isActive(mode: PartitionMode): boolean {
  return mode === 'UNCONFIRMED' || mode === 'CONFIRMED';
}

/** Answers the mode that follows; throws if it may not, which is a defect of the caller. */
export function nextMode(from: PartitionMode, to: PartitionMode, partition: number): PartitionMode {
  if (!NEXT_MODES[from].includes(to)) throw new Error(`Partition ${partition} cannot go from ${from} to ${to}`);
  return to;
}
