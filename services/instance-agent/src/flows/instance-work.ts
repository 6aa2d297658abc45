// The only file that writes `Instance.work`: which attempt an instance has, which ones wait for it, and whether its runtime is free.
import type { Attempt, Instance } from './types.ts';

/** Occupies an instance with an attempt. Its runtime is not free from here on. */
export function occupy({ work }: Instance, attempt: Attempt): void {
  work.current = attempt;
  work.isFree = false;
}

/** Removes the attempt of an instance that lives on. */
export function vacate({ work }: Instance): void {
  work.current = undefined;
}

/** Keeps the attempt of an instance, which has answered, until the instance is gone. */
export function setFailedAside({ work }: Instance): void {
  work.failed = work.current;
  work.current = undefined;
}

/** Removes the attempt that an instance still had when it ended, and answers it. */
export function removeLast({ work }: Instance): Attempt | undefined {
  const last = attemptOf({ work });
  work.failed = undefined;
  work.current = undefined;
  return last;
}

/** The attempt that an instance has, or that failed on it and is not reported yet. */
export function attemptOf({ work }: Pick<Instance, 'work'>): Attempt | undefined {
  return work.failed ?? work.current;
}

/** Has an attempt wait until an instance is free. */
export function addWaiting({ work }: Instance, attempt: Attempt): void {
  work.waiting.push(attempt);
}

/** Removes the attempt that has waited longest, and answers it. */
export function dequeueWaiting({ work }: Instance): Attempt | undefined {
  return work.waiting.shift();
}

/** Removes an attempt that waits for an instance, if it does. */
export function removeWaiting({ work }: Instance, attempt: Attempt): void {
  const at = work.waiting.indexOf(attempt);
  if (at >= 0) work.waiting.splice(at, 1);
}

/** Removes all attempts that wait for an instance, and answers them in order. */
export function removeAllWaiting({ work }: Instance): Attempt[] {
  return work.waiting.splice(0);
}

/** Notes that the runtime of an instance is free for the next event. */
export function markFree({ work }: Instance): void {
  work.isFree = true;
}

/** Notes whether the scheduler has been informed that an instance is not free. Answers what was noted before. */
export function noteReportedBusy({ work }: Instance, isBusy: boolean): boolean {
  const wasBusy = work.isReportedBusy;
  work.isReportedBusy = isBusy;
  return wasBusy;
}

/** Notes that an attempt has begun on an instance. Answers whether it is the first. */
export function noteBegun({ work }: Instance): boolean {
  const isFirst = !work.hasBegunOne;
  work.hasBegunOne = true;
  return isFirst;
}

/** Number of a new call of the runtime. */
export function nextCallSeq({ work }: Instance): number {
  return ++work.callSeq;
}
