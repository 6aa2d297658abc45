/** Settles as the promise does, or rejects when the time is over; what was under way is then left to itself. */
export async function within<T>(ms: number, doing: string, promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined); // may fail long after the caller has stopped waiting
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${doing} took longer than ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
