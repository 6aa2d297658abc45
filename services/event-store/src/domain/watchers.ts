import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { isFinal } from '@evenfall/event-model';
import type { Event } from '@evenfall/contracts/v1/event';

/** An event, and how often it has changed. */
export type VersionedEvent = { readonly event: Event; readonly version: number };

/** The version of an event that has ended: above every other, and the last. */
export const ENDED_VERSION = 0x7fffffff;

/** An event as the fold knows it, with its version; nothing where the record lacks the event. */
export function versionedOf({ event, foldCount }: FoldedEvent): VersionedEvent | undefined {
  return event && { event, version: isFinal(event.state) ? ENDED_VERSION : foldCount };
}

/** An event that is in the log, and in the tables within milliseconds. */
export type Pending = {
  /** Its state once it is written; undefined where it may not be shown before. */
  readonly upcoming: VersionedEvent | undefined;
  /** When it is in the tables, or could not be written; the write begins at once. Never rejects. */
  written(): Promise<void>;
};

/** Watchers, by event. */
export type Watchers = {
  /** Calls back when the event, or its log, has changed, until the returned function is called. A change of the event comes along. */
  watch(eventId: string, notify: (changed?: VersionedEvent) => void): () => void;
  notify(eventId: string, changed?: VersionedEvent): void;
  has(eventId: string): boolean;
  /** Every event that is watched. */
  ids(): readonly string[];
};

export function createWatchers(): Watchers {
  const byEvent = new Map<string, Set<(changed?: VersionedEvent) => void>>();
  return {
    has: (eventId) => byEvent.has(eventId),
    ids: () => [...byEvent.keys()],
    watch(eventId, notify) {
      let set = byEvent.get(eventId);
      if (!set) byEvent.set(eventId, (set = new Set()));
      set.add(notify);
      return () => {
        set.delete(notify);
        if (set.size === 0 && byEvent.get(eventId) === set) byEvent.delete(eventId);
      };
    },
    notify(eventId, changed) {
      const set = byEvent.get(eventId);
      if (set) for (const notify of [...set]) notify(changed);
    },
  };
}
