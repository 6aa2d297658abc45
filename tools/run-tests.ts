// Runs test files. One that fails is run once more, alone: a test that leans on time may fail on a busy machine, and its name at the end is
// worth more than a whole run that says nothing about the rest. Such a file is named as unstable; one that fails twice fails the run.
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from './run.ts';

/** Where the names of unstable files are gathered, a line each, for the end of `npm test`. */
const UNSTABLE = 'EVENFALL_TEST_UNSTABLE_FILE';
/** More than this are no coincidence: the run fails at once. */
const MOST_RUN_AGAIN = 5;

/** @returns the exit status: 0 where every file passed, at its second run at the latest. */
export function runTests(files: readonly string[], options: readonly string[]): number {
  const first = run(files, options);
  if (first.status === 0) return 0;
  const failed = first.failed.map((file) => relative(ROOT, file));
  process.stderr.write(`\n✗ failed: ${failed.join(', ') || 'the run itself'}\n`);
  if (failed.length === 0 || failed.length > MOST_RUN_AGAIN) return first.status;
  for (const [i, file] of first.failed.entries()) {
    process.stderr.write(`\n── once more, alone: ${failed[i]}\n`);
    const { status } = run([file], options);
    if (status !== 0) return status;
    process.stderr.write(`⚠ unstable: ${failed[i]} failed beside others and passes alone\n`);
    const list = process.env[UNSTABLE];
    if (list) appendFileSync(list, `${failed[i]}\n`);
  }
  return 0;
}

function run(files: readonly string[], options: readonly string[]): { status: number; failed: string[] } {
  const dir = mkdtempSync(join(tmpdir(), 'evenfall-failed-'));
  const list = join(dir, 'files');
  const reporters = [
    ['spec', 'stdout'],
    [pathToFileURL(join(ROOT, 'tools/failed-files.ts')).href, list],
  ].flatMap(([reporter, destination]) => [`--test-reporter=${reporter}`, `--test-reporter-destination=${destination}`]);
  try {
    const { status } = spawnSync(process.execPath, ['--test', '--test-force-exit', ...options, ...reporters, ...files], {
      stdio: 'inherit',
    });
    return { status: status ?? 1, failed: readFileSync(list, 'utf8').split('\n').filter(Boolean) };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const given = process.argv.slice(2);
  const isOption = (word: string): boolean => word.startsWith('--');
  process.exit(
    runTests(
      given.filter((word) => !isOption(word)),
      given.filter(isOption),
    ),
  );
}
