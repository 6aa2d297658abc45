// npm test: the tests of every project, of the tools, and of the whole.
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NX_ENV, ROOT, runSideBySide, runSteps, type Step } from './run.ts';

// Files that fail beside others and pass alone, of every step: named at the end.
const dir = mkdtempSync(join(tmpdir(), 'evenfall-test-'));
const unstable = (process.env['EVENFALL_TEST_UNSTABLE_FILE'] = join(dir, 'unstable'));
process.on('exit', () => {
  if (existsSync(unstable)) process.stderr.write(`\n⚠ unstable, failed beside others and passed alone:\n${readFileSync(unstable, 'utf8')}`);
  rmSync(dir, { recursive: true, force: true });
});

const testsOf = (pattern: string): string[] => globSync(pattern, { cwd: ROOT }).sort();
/** One file after the other: each starts a platform of its own. */
const whole = (name: string, files: readonly string[]): Step => ({
  name,
  command: ['node', 'tools/run-tests.ts', '--test-concurrency=1', '--test-timeout=900000', ...files],
});

runSteps([
  { name: 'projects', command: ['nx', 'run-many', '-t', 'test', '--parallel=2', '--output-style=static'], env: NX_ENV },
  { name: 'tools', command: ['node', 'tools/run-tests.ts', '--test-concurrency=2', ...testsOf('tools/*.test.ts')] },
]);
// Much of their time is waiting: for leases that run out, pauses before retries, processes that start.
const isLong = (file: string): boolean => ['openapi', 'bulk', 'joining'].some((name) => file === `test/e2e/${name}.test.ts`);
const endToEnd = testsOf('test/e2e/*.test.ts');
await runSideBySide([
  whole('end to end', [...testsOf('test/stories/*.test.ts'), ...endToEnd.filter((file) => !isLong(file))]),
  // About as long as the others together.
  whole('chaos', [...testsOf('test/chaos/*.test.ts'), ...endToEnd.filter(isLong)]),
]);
runSteps([whole('fuzz', testsOf('test/fuzz/*.test.ts'))]);
