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
import { readCommand } from './options.ts';
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

const { name, options } = readCommand(process.argv.slice(2), Object.keys({ ...CASES, ...PARTS }));
const { rounds, runtime } = options;
const found = CASES[name];
const part = PARTS[name];

const print = (line: Readonly<Record<string, unknown>>): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
print({
  case: name,
  machine: { cores: availableParallelism(), cpu: cpus()[0]?.model, memory_gib: Math.round(totalmem() / 2 ** 30) },
  calibration: calibrate(),
  node: process.version,
  log: 'embedded',
});
await part?.(rounds, print);
if (found) {
  // A pool is for the case that measures it: elsewhere its processes would only take time from what is measured.
  const stack = await startStack(options.data, { EVENFALL_AGENT_READY: name === 'cold' ? String(options.ready) : '0' });
  try {
    await found({ stack, rounds, runtime, options, print });
  } finally {
    await stack.stop();
  }
}
