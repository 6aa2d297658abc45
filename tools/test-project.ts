// Runs the tests of the project it is called in: every *.test.ts under src. With --unit, only those that need no server and no process.
import { globSync } from 'node:fs';
import { runTests } from './run-tests.ts';

const unitOnly = process.argv.includes('--unit');
const files = globSync('src/**/*.test.ts').filter((file) => !unitOnly || !file.endsWith('.int.test.ts'));
if (files.length === 0) process.exit(0);
process.exit(runTests(files.sort(), ['--test-concurrency=2', '--test-timeout=300000']));
