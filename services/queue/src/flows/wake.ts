/** Wakes a loop soon after something happened, once for everything that happened in one turn. */
export type Wake = {
  request(): void;
  /** Resolves in the turn after a request, after so many milliseconds, or with the signal. One waits at a time. */
  wait(withinMs: number, signal: AbortSignal): Promise<void>;
};

export function createWake(): Wake {
  let isRequested = false;
  let isDue = false;
  let resume: (() => void) | undefined;
  const fire = (): void => {
    isDue = true;
    resume?.();
  };
  return {
    request() {
      if (isRequested) return;
      isRequested = true;
      setImmediate(fire);
    },
    async wait(withinMs, signal) {
      if (!isDue && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(() => resume?.(), withinMs);
          // Taken away again: the signal lives as long as the service, and this is called many times a second.
          const onAbort = (): void => resume?.();
          signal.addEventListener('abort', onAbort, { once: true });
          resume = () => {
            clearTimeout(timer);
            signal.removeEventListener('abort', onAbort);
            resolve();
          };
        });
      }
      resume = undefined;
      if (isDue) isRequested = isDue = false;
    },
  };
}
