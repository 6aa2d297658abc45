/** Waits for a call, a time, or a signal. A call that comes when nothing waits is kept for the next wait. */
export type Wakeable = { rouse(): void; next(withinMs: number): Promise<void>; close(): void };

export function wakeable(signal: AbortSignal): Wakeable {
  let roused = false;
  let resolve: (() => void) | undefined;
  let timer: NodeJS.Timeout | undefined;
  const rouse = (): void => {
    roused = true;
    clearTimeout(timer);
    resolve?.();
    resolve = undefined;
  };
  signal.addEventListener('abort', rouse, { once: true });
  return {
    rouse,
    async next(withinMs) {
      if (!roused) {
        await new Promise<void>((done) => {
          resolve = done;
          timer = setTimeout(rouse, withinMs);
        });
      }
      roused = false;
    },
    close: () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', rouse);
    },
  };
}
