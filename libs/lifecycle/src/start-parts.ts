export type Running = {
  stop(): Promise<void>;
  /** Cuts short what stopping waits for. Called while it stops, at most once. */
  force?(): void;
};

/** Starts a part, and notes how it is stopped. */
export type StartPart = <T>(name: string, start: () => T | Promise<T>, stop: (started: T) => void | Promise<void>) => Promise<T>;

/**
 * Starts what `build` starts, one part after another, and returns what it returns; `stop` stops them in reverse. If one fails to start, those before it are stopped and
 * the failure is thrown. Stopping twice is stopping once. A part that fails to stop does not keep the others from being stopped.
 */
export async function startParts<T>(build: (part: StartPart) => Promise<T>): Promise<Running & { readonly built: T }> {
  const stops: { name: string; stop: () => void | Promise<void> }[] = [];
  const stopAll = async (): Promise<void> => {
    const failures: unknown[] = [];
    for (const { name, stop } of stops.splice(0).reverse()) {
      try {
        await stop();
      } catch (cause) {
        failures.push(new Error(`${name} did not stop`, { cause }));
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'Not everything stopped');
  };
  let built: T;
  try {
    built = await build(async (name, start, stop) => {
      try {
        const started = await start();
        stops.push({ name, stop: () => stop(started) });
        return started;
      } catch (cause) {
        throw new Error(`${name} did not start: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
      }
    });
  } catch (error) {
    await stopAll().catch(() => undefined);
    throw error;
  }
  let stopping: Promise<void> | undefined;
  return { built, stop: () => (stopping ??= stopAll()) };
}
