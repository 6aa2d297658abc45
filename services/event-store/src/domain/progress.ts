/** How far the view has come, and why it has not come further. */
export type Progress = {
  /** Takes note of why something could not be folded; undefined once something was. */
  note(error: unknown): void;
  /** Takes note that the ends of the log and what is applied are asked for: an answer may never come. */
  asked(nowMs: number): void;
  /** Takes note of the ends of the log and of what is applied. */
  look(nowMs: number, ends: ReadonlyMap<number, number>, applied: ReadonlyMap<number, number>): void;
  /** Takes note that one of them could not be asked for. */
  failed(nowMs: number, error: unknown): void;
  /** What keeps events from being read, for people; empty if nothing does. */
  faults(nowMs: number): readonly string[];
};

type Stall = { readonly applied: number; readonly sinceMs: number; readonly behind: number };

/** Reports when a partition of the view is stalled although the log goes on, for longer than `patienceMs`. */
export function createProgress(patienceMs: number): Progress {
  const stalled = new Map<number, Stall>();
  let trouble = '';
  let failing: { readonly sinceMs: number; readonly error: string } | undefined;
  let askedMs: number | undefined;
  return {
    note(error) {
      trouble = error === undefined ? '' : messageOf(error);
    },
    asked(nowMs) {
      askedMs = nowMs;
    },
    look(nowMs, ends, applied) {
      failing = undefined;
      askedMs = undefined;
      for (const [partition, end] of ends) {
        const at = applied.get(partition) ?? 0;
        const before = stalled.get(partition);
        if (at >= end) stalled.delete(partition);
        else if (before?.applied === at) stalled.set(partition, { ...before, behind: end - at });
        else stalled.set(partition, { applied: at, sinceMs: nowMs, behind: end - at });
      }
    },
    failed(nowMs, error) {
      failing = { sinceMs: failing?.sinceMs ?? askedMs ?? nowMs, error: messageOf(error) };
      askedMs = undefined;
    },
    faults(nowMs) {
      if (failing && nowMs - failing.sinceMs >= patienceMs) {
        return [`the view cannot be looked at for ${seconds(nowMs - failing.sinceMs)}: ${failing.error}`];
      }
      if (askedMs !== undefined && nowMs - askedMs >= patienceMs) {
        return [`the view cannot be looked at for ${seconds(nowMs - askedMs)}: there is no answer`];
      }
      const still = [...stalled].filter(([, { sinceMs }]) => nowMs - sinceMs >= patienceMs);
      if (still.length === 0) return [];
      const behind = still.reduce((sum, [, one]) => sum + one.behind, 0);
      const longestMs = Math.max(...still.map(([, { sinceMs }]) => nowMs - sinceMs));
      const why = trouble === '' ? '' : `: ${trouble}`;
      return [`the view lacks ${behind} records of ${still.length} partitions and has not moved for ${seconds(longestMs)}${why}`];
    },
  };
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 300);
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1_000)} s`;
}
