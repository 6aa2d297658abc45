/** A server, for the process that keeps it running. */
export type Kept = { readonly addresses: Readonly<Record<string, string | number>>; readonly died: Promise<Error>; stop(): Promise<void> };

/**
 * Keeps a server of another project (a database, a broker) running as long as the parent process holds its stdin open: so it is stopped in
 * order even if that one is killed. Says one line when it is ready: `evenfall-<name> ready …`.
 */
export async function keep(name: string, start: () => Promise<Kept>): Promise<void> {
  let stop: (() => void) | undefined;
  const stopRequested = new Promise<void>((resolve) => (stop = resolve));
  for (const event of ['end', 'close', 'error']) process.stdin.once(event, () => stop?.());
  process.stdin.resume();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop?.());
  try {
    const server = await start();
    const words = Object.entries(server.addresses).map(([key, value]) => `${key}=${value}`);
    process.stdout.write(`evenfall-${name} ready ${words.join(' ')}\n`);
    const died = await Promise.race([server.died, stopRequested]);
    if (died) throw died;
    await server.stop();
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}
