// Runs tests of the project it is called in: every *.test.ts under src, or only those that need no server and no process (--unit), or only the
// others (--int).
import { globSync } from 'node:fs';
import { runTests } from './run-tests.ts';

const only = process.argv[2];
const isInt = (file: string): boolean => file.endsWith('.int.test.ts');
const files = globSync('src/**/*.test.ts').filter((file) => only === undefined || isInt(file) === (only === '--int'));
if (files.length === 0) process.exit(0);
process.exit(await runTests(files.sort(), ['--test-concurrency=2', '--test-timeout=300000']));
