import { delay } from '@evenfall/time';
import type { Watchers } from '../domain/watchers.ts';
import type { EventTable } from '../ports.ts';

const LOOK_MS = 100;
/** Watched events that are asked after at once. */
const AT_ONCE = 500;

export type LookPorts = {
  readonly events: Pick<EventTable, 'getManyVersioned'>;
  readonly watchers: Watchers;
  /** Whether another replica folds too. Watchers are notified at once of what is folded here. */
  readonly isNeeded: () => boolean;
};

/** Notifies watchers of what other replicas have folded: one query for all of them, ten times a second, and none without watchers. */
export async function lookForChanges({ events, watchers, isNeeded }: LookPorts, signal: AbortSignal): Promise<void> {
  while (await delay(LOOK_MS, signal)) {
    if (!isNeeded()) continue;
    const ids = watchers.ids();
    for (let at = 0; at < ids.length; at += AT_ONCE) {
      const found = await events.getManyVersioned(ids.slice(at, at + AT_ONCE)).catch(() => []); // the database is away: watchers read it themselves, and fail there
      for (const changed of found) watchers.notify(changed.event.id, changed);
    }
  }
}
