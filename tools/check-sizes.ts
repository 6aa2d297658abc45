// A file is about 100 lines; past 400 it is two files.
import { readFileSync } from 'node:fs';
import { globSync } from 'node:fs';
import { ROOT } from './run.ts';

const MOST = 400;
const files = globSync(['{services,libs,tools,test,bench,runtimes}/**/*.{ts,mjs,py,sql,c,h}', 'proto/**/*.proto'], {
  cwd: ROOT,
  exclude: (path) => /node_modules|src\/gen/.test(path),
});
const large = files
  .map((file) => ({ file, lines: readFileSync(`${ROOT}${file}`, 'utf8').split('\n').length }))
  .filter(({ lines }) => lines > MOST);
for (const { file, lines } of large) process.stderr.write(`${file} has ${lines} lines; ${MOST} is the most\n`);
process.exit(large.length > 0 ? 1 : 0);
