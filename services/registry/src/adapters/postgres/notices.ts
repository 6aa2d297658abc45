import type { Sql } from '@evenfall/postgres';
import { type Pushable, pushable } from '@evenfall/rpc';
import type { Log } from '@evenfall/telemetry';

/** Notices of one channel, for all watchers. */
export type Notices<T> = {
  /** First `connected`, then every notice; ends when some may have been missed. */
  watch(signal: AbortSignal): AsyncIterable<T>;
  /** Notifies watchers of this process at once; those of others are notified through the database. */
  notify(notice: T): void;
  stop(): Promise<void>;
};

/** Receives changes through LISTEN/NOTIFY, which carries those of other registries too. */
export async function startNotices<T>(
  sql: Sql,
  log: Log,
  { channel, connected, read }: { readonly channel: string; readonly connected: T; readonly read: (payload: string) => T },
): Promise<Notices<T>> {
  const watchers = new Set<Pushable<T>>();
  let listening = false;

  const notify = (notice: T): void => {
    for (const watcher of watchers) watcher.push(notice);
  };
  // Called again when the connection was lost and is back: notices in between are lost, and watchers have to start again.
  const onListen = (): void => {
    if (listening) {
      log.warn('the change feed was interrupted; watchers begin anew', { channel, watchers: watchers.size });
      for (const watcher of watchers) watcher.end();
      watchers.clear();
    }
    listening = true;
  };
  const { unlisten } = await sql.listen(channel, (payload) => notify(read(payload)), onListen);

  return {
    async *watch(signal) {
      const notices = pushable<T>();
      const leave = (): void => notices.end();
      signal.addEventListener('abort', leave, { once: true });
      watchers.add(notices);
      try {
        yield connected;
        yield* notices;
      } finally {
        watchers.delete(notices);
        signal.removeEventListener('abort', leave);
      }
    },
    notify,
    async stop() {
      for (const watcher of watchers) watcher.end();
      await unlisten().catch(() => undefined); // the server may be gone already
    },
  };
}
