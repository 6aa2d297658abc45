import { Event_State as State } from '@evenfall/contracts/v1/event';
import { type BenchCase, percentile } from '../report.ts';

const FUNCTIONS = 20;
/** What it returns is when it was entered: the clock is the same for all processes of a host. */
const TELLS = {
  nodejs: { 'index.js': 'exports.handler = () => String(process.hrtime.bigint());\n' },
  python3: {
    'index.py': 'import time\ndef handler(event, context):\n    return str(time.clock_gettime_ns(time.CLOCK_MONOTONIC))\n',
  },
} as const;

/** From the call that accepts an event to the entry of its handler, on an instance that is started for it. The code package is there already. */
export const coldCase: BenchCase = async ({ stack, rounds, runtime, print }) => {
  let functions = 0;
  const once = async (): Promise<number> => {
    const name = `cold-${functions++}`;
    await stack.deploy(name, runtime, TELLS[runtime]);
    const calledAt = process.hrtime.bigint();
    const { event } = await stack.events.createEvent({
      namespace: 'default',
      function: name,
      qualifier: '',
      submission: { payload: Buffer.from('{}'), idempotencyKey: '', delay: undefined },
    });
    let enteredMs = Number.NaN;
    for await (const { event: change } of stack.events.watchEvent({ id: event?.id ?? '', afterVersion: 0 })) {
      if (change?.state !== State.SUCCEEDED) continue;
      if (!change.attempts[0]?.coldStart) throw new Error('The instance was not started for it');
      enteredMs = Number(BigInt(JSON.parse(change.result.toString()) as string) - calledAt) / 1e6; // what the function above returns
    }
    return enteredMs;
  };
  for (let i = 0; i < 5; i++) await once();
  const medians: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    const times: number[] = [];
    for (let i = 0; i < FUNCTIONS; i++) times.push(await once());
    medians.push(percentile(times, 0.5));
    print({ case: 'cold', round, runtime, p50_ms: percentile(times, 0.5), p99_ms: percentile(times, 0.99) });
  }
  print({ case: 'cold', runtime, functions: FUNCTIONS, median_p50_ms: percentile(medians, 0.5) });
};
