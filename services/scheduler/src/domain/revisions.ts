import type { Instance, ScheduledAttempt, Pool } from './types.ts';

/** Whether an instance is of a revision that has been replaced, or of a version that is gone: it takes nothing any more. */
export function isOutdated({ revision, pool }: Instance): boolean {
  return revision < pool.oldest;
}

/**
 * Whether an attempt is of a function that had the name before. Revisions rise over all functions: an attempt that names a newer one than is known
 * is of a change that is not known yet.
 */
export function isOfAnother({ fn }: Pool, { assignment }: ScheduledAttempt): boolean {
  const { functionUid, revision } = assignment;
  return fn !== undefined && functionUid !== undefined && functionUid !== fn.uid && revision <= fn.revision;
}
