import { Event_State as State } from '@evenfall/contracts/v1/event';
import { ListEventsRequest } from '@evenfall/contracts/v1/event_service';
import { type BenchCase, percentile } from '../report.ts';
import type { Stack } from '../stack.ts';

const EVENTS = 20_000;
const BATCH = 1_000;
const OPEN = [State.QUEUED, State.RUNNING, State.TERMINATING];

/** 20,000 echo events of 200 bytes, submitted in bulk: first accept to all final and readable. */
export const eventsCase: BenchCase = async ({ stack, rounds, runtime, print }) => {
  await stack.deployEcho('echo', runtime);
  const payload = Buffer.from(JSON.stringify({ text: 'x'.repeat(200 - JSON.stringify({ text: '' }).length) }));
  await run(stack, payload, 5_000);
  const rates: number[] = [];
  for (let i = 1; i <= rounds; i++) {
    const cpuBefore = stack.cpuSeconds();
    const seconds = await run(stack, payload, EVENTS);
    const cpu = stack.cpuSeconds();
    rates.push(EVENTS / seconds);
    print({
      case: 'events',
      round: i,
      runtime,
      events_per_s: Math.round(EVENTS / seconds),
      cpu_us_per_event: {
        platform: perEvent(cpu.platform - cpuBefore.platform),
        postgres: perEvent(cpu.postgres - cpuBefore.postgres),
        functions: perEvent(cpu.functions - cpuBefore.functions),
      },
      rss_mb: Math.round(stack.residentMb()),
    });
  }
  print({
    case: 'events',
    runtime,
    events: EVENTS,
    payload_bytes: payload.length,
    median_events_per_s: Math.round(percentile(rates, 0.5)),
  });
};

const perEvent = (seconds: number): number => Math.round((seconds / EVENTS) * 1e6);

async function run(stack: Stack, payload: Buffer, count: number): Promise<number> {
  const submissions = Array.from({ length: BATCH }, () => ({ payload, idempotencyKey: '', delay: undefined }));
  const began = performance.now();
  const ids: string[] = [];
  for (let sent = 0; sent < count; sent += BATCH) {
    const { eventIds } = await stack.events.batchCreateEvents({ namespace: 'default', function: 'echo', qualifier: '', submissions });
    ids.push(...eventIds);
  }
  // The list waits for the view: once it shows none open, every event is final and readable.
  const query = ListEventsRequest.create({ namespace: 'default', function: 'echo', states: OPEN, pageSize: 1 });
  for (;;) {
    const { events } = await stack.events.listEvents(query);
    if (events.length === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const seconds = (performance.now() - began) / 1000;
  for (const id of [ids[0], ids[ids.length >> 1], ids[ids.length - 1]]) {
    const { event } = await stack.events.getEvent({ id: id ?? '' });
    if (event?.state !== State.SUCCEEDED) throw new Error(`Event ${id} is ${event?.state}, not SUCCEEDED`);
  }
  return seconds;
}
