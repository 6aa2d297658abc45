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
  let waiting: PromiseWithResolvers<IteratorResult<T, undefined>> | undefined;

  /** What is next, if it is known already. */
  const settle = (): Promise<IteratorResult<T, undefined>> | undefined => {
    if (head < items.length) {
      const value = items[head++] as T; // head < length: there is one
      if (head === items.length) {
        items = [];
        head = 0;
      }
      return Promise.resolve({ done: false, value });
    }
    if (failure) return Promise.reject(failure.error);
    return closed ? Promise.resolve({ done: true, value: undefined }) : undefined;
  };
  const close = (): void => {
    closed = true;
    const reader = waiting;
    waiting = undefined;
    if (failure) reader?.reject(failure.error);
    else reader?.resolve({ done: true, value: undefined });
  };
  // Hot, every message between services passes here: one promise each, and an item goes straight to a reader that waits.
  const next = (): Promise<IteratorResult<T, undefined>> => settle() ?? (waiting = Promise.withResolvers()).promise;

  return {
    get size() {
      return items.length - head;
    },
    get closed() {
      return closed;
    },
    push(item) {
      if (closed) return;
      const reader = waiting;
      waiting = undefined;
      if (reader) reader.resolve({ done: false, value: item });
      else items.push(item);
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
