// Runs the test files that need servers and processes, from one queue: `int`, `e2e`, `chaos` and `fuzz`, or those kinds of them that are named.
// With --record the table of durations is written anew.
import { writeFileSync } from 'node:fs';
import { format } from 'prettier';
import { COMPILED } from '../run.ts';
import { runOnceMore } from './once-more.ts';
import { ALL_KINDS, isKind, LANES, plan, readTable, TABLE, type Table } from './plan.ts';
import { type Outcome, runQueue } from './queue.ts';
import { runFile } from './run-file.ts';
import { startServers } from './servers.ts';

/** Names the number of a file among those that run: the platforms that it starts have user ids of their own, of which one range is enough for ten agents. */
const SLOT = 'EVENFALL_TEST_SLOT';

const words = process.argv.slice(2);
const kinds = words.filter(isKind);
const named = words.filter((word) => word.endsWith('.test.ts'));
const table = readTable();
const tasks = plan(kinds.length > 0 ? kinds : ALL_KINDS, table).filter(({ file }) => named.length === 0 || named.includes(file));

const print = (text: string): void => void process.stdout.write(text);
const began = performance.now();
const servers = await startServers();
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
let havePassed = false;
try {
  const options = { env: { ...process.env, ...COMPILED, ...servers.env }, signal: interrupted.signal, print };
  const slots = Array.from({ length: LANES }, (_, slot) => slot);
  const outcomes = await runQueue(tasks, LANES, async ({ file }) => {
    const slot = slots.shift() ?? LANES; // one for each file that runs: there are never more than lanes
    const outcome = await runFile(file, { ...options, env: { ...options.env, [SLOT]: String(slot) } });
    slots.push(slot);
    return outcome;
  });
  print(`\n${summary(outcomes)}\n`);
  if (words.includes('--record')) await record(outcomes);
  const failed = outcomes.filter(({ passed }) => !passed).map(({ file }) => file);
  havePassed = await runOnceMore(failed, async (file) => (await runFile(file, options)).passed);
} finally {
  await servers.stop();
}
process.exit(havePassed ? 0 : 1);

function summary(outcomes: readonly Outcome[]): string {
  const seconds = (performance.now() - began) / 1000;
  const sum = outcomes.reduce((all, one) => all + one.seconds, 0);
  const longest = outcomes.toSorted((a, b) => b.seconds - a.seconds).slice(0, 15);
  const lines = longest.map((one) => `${one.seconds.toFixed(1).padStart(7)} s  ${one.file}`);
  return `${outcomes.length} files, ${sum.toFixed(0)} s of them in ${seconds.toFixed(0)} s. The longest:\n${lines.join('\n')}`;
}

/** Keeps what is said of files that did not run now, as long as there are such files. */
async function record(outcomes: readonly Outcome[]): Promise<void> {
  const all = plan(ALL_KINDS, table).map(({ file }) => file);
  const measured = new Map(outcomes.map(({ file, seconds }) => [file, seconds]));
  const lines = all.toSorted().flatMap((file): [string, Table[string]][] => {
    const seconds = measured.get(file) ?? table[file]?.seconds;
    return seconds === undefined ? [] : [[file, { ...table[file], seconds: Math.max(1, Math.round(seconds)) }]];
  });
  writeFileSync(TABLE, await format(JSON.stringify(Object.fromEntries(lines)), { parser: 'json', printWidth: 140 }));
}
