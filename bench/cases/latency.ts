import { Event_State as State } from '@evenfall/contracts/v1/event';
import { type BenchCase, percentile } from '../report.ts';

const EVENTS = 1_000;
/** Before anything is measured: V8 optimizes what has been called 3,000 times, and until then an event costs half as much again. */
const WARM_UP_EVENTS = 4_000;

/** Sequential events: from the call that accepts one to the final state seen by a watcher. */
export const latencyCase: BenchCase = async ({ stack, rounds, runtime, print }) => {
  await stack.deployEcho('echo', runtime);
  const once = async (): Promise<number> => {
    const began = performance.now();
    const { event } = await stack.events.createEvent({
      namespace: 'default',
      function: 'echo',
      qualifier: '',
      submission: { payload: Buffer.from('{}'), idempotencyKey: '', delay: undefined },
    });
    let seen = 0;
    // Read to its end: a stream that is left is a reset, and Node closes a connection that resets many.
    for await (const change of stack.events.watchEvent({ id: event?.id ?? '', afterVersion: 0 })) {
      if (change.event?.state === State.SUCCEEDED) seen = performance.now();
    }
    return seen - began;
  };
  for (let i = 0; i < WARM_UP_EVENTS; i++) await once();
  const all: number[] = [];
  for (let i = 1; i <= rounds; i++) {
    const times: number[] = [];
    for (let n = 0; n < EVENTS; n++) times.push(await once());
    all.push(percentile(times, 0.5));
    print({
      case: 'latency',
      round: i,
      runtime,
      p50_ms: percentile(times, 0.5),
      p95_ms: percentile(times, 0.95),
      p99_ms: percentile(times, 0.99),
    });
  }
  print({ case: 'latency', runtime, events: EVENTS, median_p50_ms: percentile(all, 0.5) });
};
