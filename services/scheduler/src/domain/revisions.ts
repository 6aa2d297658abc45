import type { Instance, LiveAttempt, Pool } from './types.ts';

/** Whether an instance is of a revision that has been replaced, or of a version that is gone: it takes nothing any more. */
export function isOutdated({ revision, pool }: Instance): boolean {
  return revision < pool.oldest;
}

/**
 * Whether an attempt is of a function that had the name before. Revisions rise over all functions: an attempt that names a newer one than is known
 * is of a change that is not known yet.
 */
export function isOfAnother({ spec }: Pool, { assignment }: LiveAttempt): boolean {
  const { functionUid, revision } = assignment;
  return spec !== undefined && functionUid !== undefined && functionUid !== spec.uid && revision <= spec.revision;
}
