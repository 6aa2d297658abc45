/**
 * Counts events in and out, to show that none is lost: what was recovered and accepted has ended or is open. Accepted is what callers were
 * told; everything else is what the owner saw. Of one taking over of partitions; the next begins anew.
 */
export type Tally = {
  /** Partitions were taken over: the log was so long, and the book had so many events of the view in it. */
  tookOver(ends: ReadonlyMap<number, number>, recovered: number): void;
  /** A caller was told that so many events are accepted, the last of them before this offset. */
  accepted(partition: number, endOffset: number, count: number): void;
  /** The record of an accepted event was read, by whomever it was written. `isNew`: it is in the book now, and was not before. */
  read(partition: number, endOffset: number, isOwn: boolean, isNew: boolean): void;
  /** An event was brought to its end and has left the book. */
  ended(): void;
  /** An event has left the book because it had ended elsewhere, or before. */
  left(): void;
  /** 0 at quiet moments, with the number of events in the book. While events come and go it is off by those between two of these calls. */
  difference(open: number): number;
};

export function createTally(): Tally {
  /** Where the log ended when it was taken over: what is before was recovered, whoever had accepted it. */
  let takenOver: ReadonlyMap<number, number> = new Map();
  let came = 0;
  let went = 0;
  const isBefore = (partition: number, endOffset: number): boolean => endOffset <= (takenOver.get(partition) ?? 0);
  return {
    tookOver(ends, recovered) {
      takenOver = ends;
      came = recovered;
      went = 0;
    },
    accepted(partition, endOffset, count) {
      if (!isBefore(partition, endOffset)) came += count;
    },
    read(partition, endOffset, isOwn, isNew) {
      const counted = isOwn && !isBefore(partition, endOffset);
      if (counted && !isNew) went++; // the same key again: the caller was told of the event that was there
      if (!counted && isNew) came++;
    },
    ended() {
      went++;
    },
    left() {
      went++;
    },
    difference: (open) => came - went - open,
  };
}
