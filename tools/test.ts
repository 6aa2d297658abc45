// npm test: the tests of every project, then those of the whole.
import { globSync } from 'node:fs';
import { NX_ENV, ROOT, runSteps } from './run.ts';

const whole = globSync('test/**/*.test.ts', { cwd: ROOT }).sort();
runSteps([
  { name: 'projects', command: ['nx', 'run-many', '-t', 'test', '--parallel=2', '--output-style=static'], env: NX_ENV },
  ...(whole.length > 0 ? [{ name: 'stories and end to end', command: ['node', '--test', '--test-concurrency=1', ...whole] }] : []),
]);
