// An agent by itself, for tests of what it does to others on the same kernel: runs one function that sleeps, and ends with its input.
import { durationOfMs } from '@evenfall/time';
import { startHost } from './host.ts';

const host = await startHost({ sandbox: 'process', network: 'none' });
const sleeps = { 'index.py': 'import os, time\ndef handler(e, c):\n    print("up", os.getuid(), flush=True)\n    time.sleep(60)\n' };
const id = host.run(await host.start({ runtime: 'python3', handler: 'index.handler', timeout: durationOfMs(90_000) }, sleeps));
const up = await host.line(id, /^up/);
process.stdout.write(`${up.line?.text.split(' ')[1]}\n`);
process.stdin.on('end', () => {
  // What runs must be as it was: an attempt that another process has ended is over by now.
  const isOver = host.reports.some(({ report }) => report?.$case === 'ended');
  process.stdout.write(`${isOver ? 'ended' : 'runs'}\n`);
  void host.dispose().then(() => process.exit(0));
});
process.stdin.resume();
