// Runs test files with Node's test runner, and those that fail once more, alone.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { COMPILED, ROOT } from '../run.ts';
import { runOnceMore } from './once-more.ts';

/** @returns the exit status: 0 where every file passed, at its second run at the latest. */
export async function runTests(files: readonly string[], options: readonly string[]): Promise<number> {
  const first = run(files, options);
  if (first.status === 0) return 0;
  if (first.failed.length === 0) return first.status; // the run itself failed
  const havePassed = await runOnceMore(
    first.failed.map((file) => relative(ROOT, file)),
    (file) => run([join(ROOT, file)], options).status === 0,
  );
  return havePassed ? 0 : first.status;
}

function run(files: readonly string[], options: readonly string[]): { status: number; failed: string[] } {
  const dir = mkdtempSync(join(tmpdir(), 'evenfall-failed-'));
  const list = join(dir, 'files');
  const reporters = [
    ['spec', 'stdout'],
    [pathToFileURL(join(ROOT, 'tools/tests/failed-files.ts')).href, list],
  ].flatMap(([reporter, destination]) => [`--test-reporter=${reporter}`, `--test-reporter-destination=${destination}`]);
  try {
    const { status } = spawnSync(process.execPath, ['--test', '--test-force-exit', ...options, ...reporters, ...files], {
      stdio: 'inherit',
      env: { ...process.env, ...COMPILED },
    });
    return { status: status ?? 1, failed: readFileSync(list, 'utf8').split('\n').filter(Boolean) };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const given = process.argv.slice(2);
  const isOption = (word: string): boolean => word.startsWith('--');
  const files = given.filter((word) => !isOption(word));
  process.exit(await runTests(files, given.filter(isOption)));
}
