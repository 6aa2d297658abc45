// The word check: cspell for spelling and single retired words, phrases.ts for expressions of several words.
import { spawnSync } from 'node:child_process';
import { globSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../run.ts';
import { COVERED, isExempt } from './paths.ts';
import { findPhrases } from './phrases.ts';
import { retiredInPath } from './retired.ts';

const CSPELL = join(ROOT, 'node_modules/cspell/bin.mjs');
const CONFIG = join(ROOT, 'tools/words/cspell.yaml');

/** The files that the check reads, relative to the root of the repository. */
export function coveredFiles(globs: readonly string[] = COVERED): string[] {
  const paths = globSync([...globs], { cwd: ROOT, exclude: isExempt });
  return [...new Set(paths)].filter((path) => !isExempt(path) && statSync(join(ROOT, path)).isFile()).sort();
}

/**
 * Checks files, whose names are relative to `root`, and gives one line for each fault. Throws if cspell fails in another way than by
 * finding words: a check that reads nothing must not pass.
 */
export function wordFaults(root: string, files: readonly string[]): string[] {
  if (files.length === 0) throw new Error('the word check has no files to read');
  const args = ['lint', '--config', CONFIG, '--no-progress', '--no-color', '--no-cache', '--dot', '--file-list', 'stdin'];
  const { status, stdout, stderr, error } = spawnSync(process.execPath, [CSPELL, ...args], {
    cwd: root,
    input: files.join('\n'),
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const checked = Number(/Files checked: (\d+)/.exec(stderr)?.[1] ?? -1);
  if (error || (status !== 0 && status !== 1) || checked !== files.length) {
    throw new Error(`cspell checked ${checked} of ${files.length} files: ${error?.message ?? stderr.slice(-2000)}`);
  }
  const words = stdout.split('\n').filter((line) => line.trim() !== '');
  const phrases = findPhrases(root, files).map(
    ({ file, line, text, instead }) => `${file}:${line} - Retired expression (${text}) use: (${instead})`,
  );
  return [...words, ...phrases, ...files.flatMap(retiredInPath)];
}
