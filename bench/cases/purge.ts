import { ListEventsRequest } from '@evenfall/contracts/v1/event_service';
import { type BenchCase, percentile } from '../report.ts';
import { loadEnded } from '../load-ended.ts';

const ROWS = 1_000_000;
const PER_S = 2_000;
const BATCH = 20;
const PHASE_MS = 10_000;

/**
 * Drops a partition of a million rows while 2,000 events a second are accepted, run and folded: how long the longest accept took, and the longest
 * wait for the view to show what the log held, before, while and after.
 */
export const purgeCase: BenchCase = async ({ stack, runtime, print }) => {
  await stack.deployEcho('echo', runtime);
  const sql = stack.sql();
  await loadEnded(sql, { from: 0, to: ROWS, hours: 5, hoursAgo: 79 });
  await sql.end();
  const submissions = Array.from({ length: BATCH }, () => ({ payload: Buffer.from('{"n":1}'), idempotencyKey: '', delay: undefined }));
  const accepts: number[] = [];
  const views: number[] = [];
  let isOver = false;
  const timed = async (times: number[], work: () => Promise<unknown>): Promise<void> => {
    const began = performance.now();
    await work();
    times.push(performance.now() - began);
  };
  const write = async (): Promise<void> => {
    const waits: Promise<void>[] = [];
    const began = performance.now();
    for (let sent = 0; !isOver; sent++) {
      waits.push(
        timed(accepts, () => stack.events.batchCreateEvents({ namespace: 'default', function: 'echo', qualifier: '', submissions })),
      );
      const due = began + ((sent + 1) * BATCH * 1000) / PER_S;
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
    }
    await Promise.all(waits);
  };
  const look = async (): Promise<void> => {
    const query = ListEventsRequest.create({ namespace: 'default', function: 'echo', pageSize: 1 });
    while (!isOver) {
      await timed(views, () => stack.events.listEvents(query));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const working = [write(), look()];
  const phase = async (name: string, work: () => Promise<unknown>): Promise<void> => {
    accepts.length = views.length = 0;
    const began = performance.now();
    const count = await work();
    await new Promise((resolve) => setTimeout(resolve, PHASE_MS - (performance.now() - began)));
    print({
      case: 'purge',
      phase: name,
      dropped: typeof count === 'number' ? count : 0,
      batches: accepts.length,
      accept_ms: { p50: percentile(accepts, 0.5), p99: percentile(accepts, 0.99), max: percentile(accepts, 1) },
      view_ms: { p50: percentile(views, 0.5), p99: percentile(views, 0.99), max: percentile(views, 1) },
    });
  };
  await new Promise((resolve) => setTimeout(resolve, 5_000)); // warm
  await phase('before', () => Promise.resolve());
  await phase('while a partition of a million rows is dropped', async () => {
    const began = performance.now();
    const { partitions } = await stack.operators.purge({ dryRun: false, time: undefined });
    print({ case: 'purge', dropped: partitions.map(({ name }) => name), took_ms: Math.round(performance.now() - began) });
    return partitions.length;
  });
  await phase('after', () => Promise.resolve());
  isOver = true;
  await Promise.all(working);
};
