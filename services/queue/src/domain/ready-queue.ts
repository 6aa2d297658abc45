/** A first-in-first-out queue that skips what is no longer ready. */
export type ReadyQueue<T extends { ready: boolean }> = {
  readonly size: number;
  push(queued: T): void;
  unshift(queued: T): void;
  shift(): T | undefined;
  peek(): T | undefined;
  /** Those that are ready, in any order. */
  all(): T[];
};

/** Entries leave it by being marked not ready; they are skipped when their turn comes, so that taking one out costs nothing. */
export function createReadyQueue<T extends { ready: boolean }>(): ReadyQueue<T> {
  let items: (T | undefined)[] = [];
  let head = 0;
  const front: T[] = [];
  const settle = (): void => {
    while (front.length > 0 && !front[front.length - 1]?.ready) front.pop();
    while (head < items.length && !items[head]?.ready) head++;
    if (head > 1_000 && head * 2 > items.length) {
      items = items.slice(head);
      head = 0;
    }
  };
  return {
    get size() {
      settle();
      return front.length + items.length - head;
    },
    push(queued) {
      queued.ready = true;
      items.push(queued);
    },
    unshift(queued) {
      queued.ready = true;
      front.push(queued);
    },
    shift() {
      settle();
      const queued = front.length > 0 ? front.pop() : items[head];
      if (!queued) return undefined;
      if (queued === items[head]) items[head++] = undefined;
      queued.ready = false;
      return queued;
    },
    all: () => [...front, ...items.slice(head)].filter((queued) => queued?.ready === true) as T[], // what is ready is there
    peek() {
      settle();
      return front[front.length - 1] ?? items[head];
    },
  };
}
