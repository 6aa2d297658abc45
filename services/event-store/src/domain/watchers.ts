/** Who wants to be woken about which event. */
export type Watchers = {
  /** Calls back at every change of the event until the returned function is called. */
  watch(eventId: string, wake: () => void): () => void;
  wake(eventId: string): void;
  readonly size: number;
};

export function createWatchers(): Watchers {
  const byEvent = new Map<string, Set<() => void>>();
  return {
    get size() {
      return byEvent.size;
    },
    watch(eventId, wake) {
      let set = byEvent.get(eventId);
      if (!set) byEvent.set(eventId, (set = new Set()));
      set.add(wake);
      return () => {
        set.delete(wake);
        if (set.size === 0 && byEvent.get(eventId) === set) byEvent.delete(eventId);
      };
    },
    wake(eventId) {
      const set = byEvent.get(eventId);
      if (set) for (const wake of [...set]) wake();
    },
  };
}
