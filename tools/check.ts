// npm run check: all that can be said about the code without starting it, and the unit tests.
import { NX_ENV, runSteps } from './run.ts';

runSteps([
  { name: 'format', command: ['prettier', '--check', '.'] },
  { name: 'lint', command: ['eslint', '.', '--max-warnings', '0'] },
  { name: 'types', command: ['tsc', '-p', '.'] },
  { name: 'import rules', command: ['depcruise', '--config', 'tools/import-rules.mjs', 'services', 'libs', 'tools', 'test', 'bench'] },
  { name: 'file sizes', command: ['node', 'tools/check-sizes.ts'] },
  { name: 'secrets', command: ['secretlint', '**/*', '--secretlintignore', '.gitignore'] },
  { name: 'known weaknesses', command: ['node', 'tools/audit.ts'] },
  { name: 'protos', command: ['buf', 'lint'] },
  { name: 'proto format', command: ['buf', 'format', '-d', '--exit-code'] },
  { name: 'generated files', command: ['node', 'tools/check-generated.ts'] },
  { name: 'launcher', command: ['node', 'tools/native/build.ts', '--check'] },
  { name: 'docs', command: ['node', 'tools/docs.ts', '--check'] },
  { name: 'openapi', command: ['node', 'tools/openapi/check.ts'] },
  { name: 'deploy', command: ['node', 'tools/deploy/check.ts'] },
  { name: 'tests of the tools', command: ['node', '--test', 'tools/*.test.ts'] },
  { name: 'unit tests', command: ['nx', 'run-many', '-t', 'test:unit', '--parallel=2', '--output-style=static'], env: NX_ENV },
]);
