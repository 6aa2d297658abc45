// A test file that fails is run once more, alone: a test that leans on time may fail on a busy machine, and its name at the end is worth more
// than a whole run that says nothing about the rest. Such a file is named as unstable; one that fails twice fails the run.
import { appendFileSync } from 'node:fs';

/** Names the file in which the names of unstable test files are gathered, a line each, for the end of `npm test`. */
export const UNSTABLE = 'EVENFALL_TEST_UNSTABLE_FILE';
/** More than this are no coincidence: the run fails at once. */
const MOST_RUN_AGAIN = 10;

/** Runs failed files again, one after another, and stops at the first that fails again. @returns whether every file has passed now. */
export async function runOnceMore(failed: readonly string[], run: (file: string) => boolean | Promise<boolean>): Promise<boolean> {
  if (failed.length === 0) return true;
  process.stderr.write(`\n✗ failed: ${failed.join(', ')}\n`);
  if (failed.length > MOST_RUN_AGAIN) return false;
  for (const file of failed) {
    process.stderr.write(`\n── once more, alone: ${file}\n`);
    if (!(await run(file))) return false;
    process.stderr.write(`⚠ unstable: ${file} failed beside others and passes alone\n`);
    const list = process.env[UNSTABLE];
    if (list) appendFileSync(list, `${file}\n`);
  }
  return true;
}
