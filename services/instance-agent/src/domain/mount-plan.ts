/** A folder that is covered by an empty one, and what of it can still be seen. */
export type Cover = {
  readonly path: string;
  /** Folders beneath it that are put back where they were, outer ones first. */
  readonly kept: readonly string[];
};

/** Whether `path` is `folder` or beneath it. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === '/' ? folder : `${folder}/`);
}

/**
 * What a function gets to see: `hidden` folders are empty, but for those it `needs`. Paths are absolute and without links. A hidden folder
 * within another is hidden with it; a needed one within another comes with it.
 */
export function coversOf(hidden: readonly string[], needs: readonly string[]): Cover[] {
  const outermost = (paths: readonly string[]): string[] =>
    [...new Set(paths)].filter((path) => !paths.some((other) => other !== path && isWithin(path, other))).sort();
  return outermost(hidden).map((path) => ({ path, kept: outermost(needs.filter((need) => need !== path && isWithin(need, path))) }));
}

/** `/`, `/a`, `/a/b` of `/a/b`. */
export function foldersDownTo(path: string): string[] {
  const names = path.split('/').filter(Boolean);
  return ['/', ...names.map((_, index) => `/${names.slice(0, index + 1).join('/')}`)];
}
