import { availableParallelism, cpus, totalmem } from 'node:os';
import { eventsCase } from './cases/events.ts';
import { latencyCase } from './cases/latency.ts';
import { acceptCase } from './cases/accept.ts';
import { coldCase } from './cases/cold.ts';
import { terminateCase } from './cases/terminate.ts';
import { foldCase } from './cases/fold.ts';
import { listCase } from './cases/list.ts';
import { purgeCase } from './cases/purge.ts';
import { calibrate } from './calibrate.ts';
import { startStack } from './stack.ts';
import type { BenchCase, BenchRun } from './report.ts';

const CASES: Readonly<Record<string, BenchCase>> = {
  events: eventsCase,
  latency: latencyCase,
  accept: acceptCase,
  terminate: terminateCase,
  cold: coldCase,
  list: listCase,
  purge: purgeCase,
};
/** Those that need no whole platform. */
const PARTS: Readonly<Record<string, (rounds: number, print: BenchRun['print']) => Promise<void>>> = { fold: foldCase };

const [name = '', ...args] = process.argv.slice(2);
const found = CASES[name];
const part = PARTS[name];
if (!found && !part) {
  process.stderr.write(
    `usage: npm run bench -- <case> [--rounds N] [--runtime nodejs|python3] [--data DIR]\ncases: ${Object.keys({ ...CASES, ...PARTS }).join(', ')}\n`,
  );
  process.exit(2);
}
const option = (flag: string): string | undefined => {
  const at = args.indexOf(`--${flag}`);
  return at < 0 ? undefined : args[at + 1];
};
const runtime = option('runtime') ?? 'nodejs';
if (runtime !== 'nodejs' && runtime !== 'python3') throw new Error(`--runtime is nodejs or python3, not ${runtime}`);

const print = (line: Readonly<Record<string, unknown>>): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
print({
  case: name,
  machine: { cores: availableParallelism(), cpu: cpus()[0]?.model, memory_gib: Math.round(totalmem() / 2 ** 30) },
  calibration: calibrate(),
  node: process.version,
  log: 'embedded',
});
const rounds = Number(option('rounds') ?? 5);
await part?.(rounds, print);
if (found) {
  // A pool is for the case that measures it: elsewhere its processes would only take time from what is measured.
  const stack = await startStack(option('data'), { EVENFALL_AGENT_READY: name === 'cold' ? (option('ready') ?? '1') : '0' });
  try {
    await found({ stack, rounds, runtime, option, print });
  } finally {
    await stack.stop();
  }
}
