import { type Clock, dueQueue } from '@evenfall/time';
import type { Instance } from '../flows/types.ts';

export type Deadlines = {
  set(instance: Instance, dueMs: number): void;
  /** Forgets an instance that has ended. */
  drop(instance: Instance): void;
  stop(): void;
};

/** What the queue holds for an instance: entries stay in it until they are due, and must not keep the memory of one that has ended. */
type Place = { instance: Instance | undefined };

/** Deadlines further away are looked at again after this: the queue must not keep the place of an instance that has ended for the 24 hours it had. */
const MAX_LOOK_AHEAD_MS = 60_000;

/**
 * Watches one deadline per instance with one timer for all. An instance is in the queue at most at one time that is not after its deadline;
 * when it comes up early it is put back. So setting a later deadline, which every event does, costs two assignments.
 */
export function watchDeadlines(clock: Clock, onDue: (instance: Instance, nowMs: number) => void): Deadlines {
  const queue = dueQueue<Place>();
  const places = new WeakMap<Instance, Place>();
  let timer: NodeJS.Timeout | undefined;
  let timerDueMs = Number.POSITIVE_INFINITY;

  const arm = (dueMs: number): void => {
    if (dueMs >= timerDueMs) return;
    clearTimeout(timer);
    timerDueMs = dueMs;
    // Ceiling, or it would come up a fraction early and be put back.
    timer = setTimeout(run, Math.max(0, Math.ceil(dueMs - clock.monotonic())));
  };
  const push = (instance: Instance, dueMs: number): void => {
    const lookMs = Math.min(dueMs, clock.monotonic() + MAX_LOOK_AHEAD_MS);
    instance.deadline.queuedMs = lookMs;
    let place = places.get(instance);
    if (!place) places.set(instance, (place = { instance }));
    queue.push(lookMs, place);
    arm(lookMs);
  };
  const run = (): void => {
    timerDueMs = Number.POSITIVE_INFINITY;
    const nowMs = clock.monotonic();
    for (const { instance } of queue.dequeueDue(nowMs)) {
      if (!instance || instance.deadline.queuedMs > nowMs) continue; // ended, or queued for later again
      instance.deadline.queuedMs = Number.POSITIVE_INFINITY;
      if (instance.deadline.dueMs > nowMs) {
        if (instance.deadline.dueMs !== Number.POSITIVE_INFINITY) push(instance, instance.deadline.dueMs);
        continue;
      }
      instance.deadline.dueMs = Number.POSITIVE_INFINITY;
      onDue(instance, nowMs);
    }
    const next = queue.nextDueMs();
    if (next !== undefined) arm(next);
  };
  return {
    set(instance, dueMs) {
      instance.deadline.dueMs = dueMs;
      if (dueMs < instance.deadline.queuedMs) push(instance, dueMs);
    },
    drop(instance) {
      const place = places.get(instance);
      if (place) place.instance = undefined;
      places.delete(instance);
      instance.deadline.dueMs = Number.POSITIVE_INFINITY;
    },
    stop: () => clearTimeout(timer),
  };
}
