/** Something that is started and, once, stopped. */
export type Part = { readonly name: string; start(): Promise<() => Promise<void>> };

export type Running = { stop(): Promise<void> };

/**
 * Starts the parts one after another; `stop` stops them in reverse. If one fails to start, those before it are stopped and the failure is
 * thrown. Stopping twice is stopping once. A part that fails to stop does not keep the others from being stopped.
 */
export async function startInOrder(parts: readonly Part[]): Promise<Running> {
  const stops: { name: string; stop: () => Promise<void> }[] = [];
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
  for (const part of parts) {
    try {
      stops.push({ name: part.name, stop: await part.start() });
    } catch (cause) {
      await stopAll().catch(() => undefined);
      throw new Error(`${part.name} did not start: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
  }
  let stopping: Promise<void> | undefined;
  return { stop: () => (stopping ??= stopAll()) };
}
