// npm test: the unit tests of every project and of the tools, then everything that needs servers and processes.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NX_ENV, runSteps } from '../run.ts';
import { UNSTABLE } from './once-more.ts';

// Files that fail beside others and pass alone, of every step: named at the end.
const dir = mkdtempSync(join(tmpdir(), 'evenfall-test-'));
const unstable = (process.env[UNSTABLE] = join(dir, 'unstable'));
process.on('exit', () => {
  if (existsSync(unstable)) process.stderr.write(`\n⚠ unstable, failed beside others and passed alone:\n${readFileSync(unstable, 'utf8')}`);
  rmSync(dir, { recursive: true, force: true });
});

runSteps([
  { name: 'unit', command: ['nx', 'run-many', '-t', 'unit', '--parallel=2', '--output-style=static'], env: NX_ENV },
  { name: 'suite', command: ['nx', 'run', 'evenfall:suite', '--output-style=stream'], env: NX_ENV },
]);
