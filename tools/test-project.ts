// Runs the tests of the project it is called in: every *.test.ts under src. With --unit, only those that need no server and no process.
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';

const unitOnly = process.argv.includes('--unit');
const files = globSync('src/**/*.test.ts').filter((file) => !unitOnly || !file.endsWith('.int.test.ts'));
if (files.length === 0) process.exit(0);
const { status } = spawnSync(
  process.execPath,
  ['--test', '--test-force-exit', '--test-concurrency=2', '--test-timeout=300000', ...files.sort()],
  {
    stdio: 'inherit',
  },
);
process.exit(status ?? 1);
