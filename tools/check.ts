// npm run check: all that can be said about the code without starting it, and the unit tests. Each step is a target of Nx: one whose inputs are
// those of an earlier run that passed is not run again.
import { NX_ENV, runSteps } from './run.ts';

const CHECKS = [
  ...[
    'format',
    'lint',
    'types',
    'imports',
    'sizes',
    'words',
    'secrets',
    'weaknesses',
    'protos',
    'generated',
    'launcher',
    'docs',
    'openapi',
    'deploy',
  ],
  'unit',
];

runSteps([{ name: 'check', command: ['nx', 'run-many', '-t', ...CHECKS, '--parallel=2', '--output-style=static'], env: NX_ENV }]);
