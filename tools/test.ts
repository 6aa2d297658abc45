// npm test: the tests of every project, of the tools, and of the whole.
import { globSync } from 'node:fs';
import { NX_ENV, ROOT, runSteps } from './run.ts';

const tools = globSync('tools/*.test.ts', { cwd: ROOT }).sort();
const whole = globSync('test/**/*.test.ts', { cwd: ROOT }).sort();
runSteps([
  { name: 'projects', command: ['nx', 'run-many', '-t', 'test', '--parallel=2', '--output-style=static'], env: NX_ENV },
  { name: 'tools', command: ['node', '--test', '--test-concurrency=2', ...tools] },
  ...(whole.length > 0
    ? [
        {
          name: 'stories and end to end',
          command: ['node', '--test', '--test-force-exit', '--test-concurrency=1', '--test-timeout=900000', ...whole],
        },
      ]
    : []),
]);
