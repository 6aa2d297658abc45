import { Event_State as State } from '@evenfall/contracts/v1/event';
import { setTimeout as pause } from 'node:timers/promises';
import { type BenchCase, percentile } from '../report.ts';

const FUNCTIONS = 20;
/** What it returns is when it was entered: the clock is the same for all processes of a host. */
const REPORTS_START = {
  nodejs: { 'index.js': 'exports.handler = () => String(process.hrtime.bigint());\n' },
  python3: {
    'index.py': 'import time\ndef handler(event, context):\n    return str(time.clock_gettime_ns(time.CLOCK_MONOTONIC))\n',
  },
} as const;

/**
 * From the call that accepts an event to the entry of its handler, on an instance that is started for it. The code package is there already.
 * `ready`: a process that was started ahead is there each time; `--ready 0` keeps none.
 */
export const coldCase: BenchCase = async ({ stack, rounds, runtime, options, print }) => {
  const ready = options.ready > 0;
  const metric = async (name: string): Promise<number> =>
    Number(new RegExp(`^${name}(?:\\{.*\\})? (\\d+)`, 'm').exec(await stack.metrics())?.[1] ?? 0);
  let functions = 0;
  const once = async (): Promise<number> => {
    const name = `cold-${functions++}`;
    await stack.deploy(name, runtime, REPORTS_START[runtime]);
    for (let i = 0; ready && functions > 1 && (await metric('evenfall_instance_agent_ready_processes')) === 0; i++) {
      if (i === 600) throw new Error('No process became ready');
      await pause(50);
    }
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
  const claimed = 'evenfall_instance_agent_starts_from_ready_total';
  const before = await metric(claimed);
  const medians: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    const times: number[] = [];
    for (let i = 0; i < FUNCTIONS; i++) times.push(await once());
    medians.push(percentile(times, 0.5));
    print({ case: 'cold', round, runtime, ready, p50_ms: percentile(times, 0.5), p99_ms: percentile(times, 0.99) });
  }
  const fromReady = (await metric(claimed)) - before;
  if (fromReady !== (ready ? rounds * FUNCTIONS : 0))
    throw new Error(`${fromReady} starts of ${rounds * FUNCTIONS} were from ready processes`);
  print({ case: 'cold', runtime, ready, functions: FUNCTIONS, median_p50_ms: percentile(medians, 0.5) });
};
