/** An async iterable that is fed by calls. One reader. */
export type Pushable<T> = AsyncIterable<T> & {
  /** Items pushed and not yet taken. */
  readonly size: number;
  /** Whether it was ended, failed, or left by its reader. */
  readonly closed: boolean;
  /** Adds an item; without effect once closed. */
  push(item: T): void;
  end(): void;
  fail(error: unknown): void;
};

/** Makes a pushable; `onLeave` runs once when the reader stops before the end. */
export function pushable<T>(onLeave?: () => void): Pushable<T> {
  let items: T[] = [];
  let head = 0;
  let closed = false;
  let failure: { error: unknown } | undefined;
  let wake: (() => void) | undefined;

  const rouse = (): void => {
    const waiter = wake;
    wake = undefined;
    waiter?.();
  };
  const close = (): void => {
    closed = true;
    rouse();
  };
  const next = async (): Promise<IteratorResult<T, undefined>> => {
    for (;;) {
      if (head < items.length) {
        const value = items[head++] as T; // head < length: there is one
        if (head === items.length) {
          items = [];
          head = 0;
        }
        return { done: false, value };
      }
      if (failure) throw failure.error;
      if (closed) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };

  return {
    get size() {
      return items.length - head;
    },
    get closed() {
      return closed;
    },
    push(item) {
      if (closed) return;
      items.push(item);
      if (wake) rouse();
    },
    end: close,
    fail(error) {
      if (closed) return;
      failure = { error };
      close();
    },
    [Symbol.asyncIterator]: () => ({
      next,
      return: () => {
        if (!closed) {
          close();
          onLeave?.();
        }
        items = [];
        head = 0;
        return Promise.resolve({ done: true, value: undefined });
      },
    }),
  };
}
