import { type Pushable, pushable } from '@evenfall/rpc';
import type { Sql } from '@evenfall/postgres';
import type { Log } from '@evenfall/telemetry';
import type { ChangeFeed } from '../../ports.ts';
import { CHANGE_CHANNEL } from './function-store.ts';

type Change = { readonly namespace: string; readonly name: string };

/** Hears of changes through LISTEN/NOTIFY, which carries those of other registries too. */
export async function startChangeFeed(sql: Sql, log: Log): Promise<ChangeFeed & { stop(): Promise<void> }> {
  const watchers = new Set<Pushable<Change>>();
  let listening = false;

  const tell = (change: Change): void => {
    for (const watcher of watchers) watcher.push(change);
  };
  const onChange = (payload: string): void => {
    const slash = payload.indexOf('/');
    tell({ namespace: payload.slice(0, slash), name: payload.slice(slash + 1) });
  };
  // Called again when the connection was lost and is back: what was told in between is lost, and those who watch have to begin anew.
  const onListen = (): void => {
    if (listening) {
      log.warn('the change feed was interrupted; watchers begin anew', { watchers: watchers.size });
      for (const watcher of watchers) watcher.end();
      watchers.clear();
    }
    listening = true;
  };
  const { unlisten } = await sql.listen(CHANGE_CHANNEL, onChange, onListen);

  return {
    async *watch(signal) {
      const changes = pushable<Change>();
      const leave = (): void => changes.end();
      signal.addEventListener('abort', leave, { once: true });
      watchers.add(changes);
      try {
        yield { namespace: '', name: '' };
        yield* changes;
      } finally {
        watchers.delete(changes);
        signal.removeEventListener('abort', leave);
      }
    },
    announce: (namespace, name) => tell({ namespace, name }),
    async stop() {
      for (const watcher of watchers) watcher.end();
      await unlisten().catch(() => undefined); // the server may be gone already
    },
  };
}
