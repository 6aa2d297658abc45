import type { AttemptQueue, ScheduledAttempt } from './types.ts';

/** An insertion-ordered set does all of it in constant time; what is put back goes to a short list before it. */
export function createAttemptQueue(): AttemptQueue {
  const front: ScheduledAttempt[] = [];
  const rest = new Set<ScheduledAttempt>();
  return {
    get size() {
      return front.length + rest.size;
    },
    push: (attempt) => void rest.add(attempt),
    unshift: (attempt) => void front.push(attempt),
    shift() {
      const first = front.pop();
      if (first) return first;
      for (const attempt of rest) {
        rest.delete(attempt);
        return attempt;
      }
      return undefined;
    },
    all: () => [...front, ...rest],
    remove(attempt) {
      const at = front.indexOf(attempt);
      if (at >= 0) front.splice(at, 1);
      return at >= 0 || rest.delete(attempt);
    },
    removeBehind(kept) {
      const behind = [...rest].slice(Math.max(0, kept - front.length)).filter(({ sink }) => sink.claims !== undefined);
      for (const attempt of behind) rest.delete(attempt);
      return behind.reverse();
    },
  };
}
