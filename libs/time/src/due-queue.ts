/** Things that become due, earliest first. */
export type DueQueue<T> = {
  readonly size: number;
  push(dueMs: number, item: T): void;
  /** Takes out everything due at the time, earliest first. */
  dequeueDue(nowMs: number): T[];
  /** When the earliest is due; undefined when empty. */
  nextDueMs(): number | undefined;
};

/** A binary heap: O(log n) to push and take. Entries that no longer matter are left in and skipped when they are dequeued. */
export function dueQueue<T>(): DueQueue<T> {
  const heap: { dueMs: number; order: number; item: T }[] = [];
  let order = 0;

  const before = (a: number, b: number): boolean => {
    const x = heap[a];
    const y = heap[b];
    if (!x || !y) return false;
    return x.dueMs < y.dueMs || (x.dueMs === y.dueMs && x.order < y.order);
  };
  const swap = (a: number, b: number): void => {
    const x = heap[a];
    const y = heap[b];
    if (x && y) {
      heap[a] = y;
      heap[b] = x;
    }
  };
  const sinkFromRoot = (): void => {
    for (let i = 0; ;) {
      let least = i;
      if (before(2 * i + 1, least)) least = 2 * i + 1;
      if (before(2 * i + 2, least)) least = 2 * i + 2;
      if (least === i) return;
      swap(i, least);
      i = least;
    }
  };

  return {
    get size() {
      return heap.length;
    },
    push(dueMs, item) {
      heap.push({ dueMs, order: order++, item });
      for (let i = heap.length - 1; i > 0;) {
        const parent = (i - 1) >> 1;
        if (!before(i, parent)) return;
        swap(i, parent);
        i = parent;
      }
    },
    dequeueDue(nowMs) {
      const due: T[] = [];
      for (let first = heap[0]; first && first.dueMs <= nowMs; first = heap[0]) {
        due.push(first.item);
        const last = heap.pop();
        if (last && heap.length > 0) heap[0] = last;
        sinkFromRoot();
      }
      return due;
    },
    nextDueMs: () => heap[0]?.dueMs,
  };
}
