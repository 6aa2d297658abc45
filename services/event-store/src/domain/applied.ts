/** How far the view is, and who waits for it. */
export type Applied = {
  /** Takes note of new ends, and wakes those they satisfy. */
  moved(endOffsets: ReadonlyMap<number, number>): void;
  /** Whether every partition has reached its offset. */
  has(endOffsets: ReadonlyMap<number, number>): boolean;
  /** Takes note that the view is this far and no farther, whatever it had reached before. */
  startOver(endOffsets: ReadonlyMap<number, number>): void;
  /** Resolves once every partition has reached its offset; false if the time ran out first. */
  reached(endOffsets: ReadonlyMap<number, number>, withinMs: number): Promise<boolean>;
};

type Waiter = { readonly wanted: Map<number, number>; readonly resolve: (reached: boolean) => void };

export function createApplied(): Applied {
  const ends = new Map<number, number>();
  const waiters = new Set<Waiter>();
  const satisfied = (wanted: ReadonlyMap<number, number>): boolean => {
    for (const [partition, end] of wanted) if ((ends.get(partition) ?? 0) < end) return false;
    return true;
  };
  return {
    startOver(endOffsets) {
      for (const [partition, end] of endOffsets) ends.set(partition, end);
    },
    moved(endOffsets) {
      for (const [partition, end] of endOffsets) ends.set(partition, Math.max(end, ends.get(partition) ?? 0));
      for (const waiter of waiters) if (satisfied(waiter.wanted)) waiter.resolve(true);
    },
    has: satisfied,
    reached(endOffsets, withinMs) {
      const wanted = new Map(endOffsets);
      if (satisfied(wanted)) return Promise.resolve(true);
      return new Promise((resolve) => {
        const waiter: Waiter = {
          wanted,
          resolve: (reached) => {
            clearTimeout(timer);
            waiters.delete(waiter);
            resolve(reached);
          },
        };
        const timer = setTimeout(() => waiter.resolve(false), withinMs);
        timer.unref(); // a waiting call does not keep the process alive
        waiters.add(waiter);
      });
    },
  };
}

/** How many records of a log that long are not in a view this far. */
export function recordsBehind(endOffsets: ReadonlyMap<number, number>, applied: ReadonlyMap<number, number>): number {
  let records = 0;
  for (const [partition, end] of endOffsets) records += Math.max(0, end - (applied.get(partition) ?? 0));
  return records;
}
