import { type BenchCase, percentile } from '../report.ts';

const payload = Buffer.from(JSON.stringify({ text: 'x'.repeat(189) }));
const submission = { payload, idempotencyKey: '', delay: undefined };
const target = { namespace: 'default', function: 'echo', qualifier: '' };

/** Durable accepts: one at a time, 64 at once, in batches of 1,000. What was accepted is run meanwhile, as it would be. */
export const acceptCase: BenchCase = async ({ stack, rounds, runtime, print }) => {
  await stack.deployEcho('echo', runtime);
  const one = () => stack.events.createEvent({ ...target, submission });
  const batch = () => stack.events.batchCreateEvents({ ...target, submissions: Array.from({ length: 1_000 }, () => submission) });
  const atOnce = (width: number, count: number) => async (): Promise<number> => {
    const began = performance.now();
    await Promise.all(
      Array.from({ length: width }, async () => {
        for (let i = 0; i < count / width; i++) await one();
      }),
    );
    return count / ((performance.now() - began) / 1000);
  };
  const inBatches = async (): Promise<number> => {
    const began = performance.now();
    for (let i = 0; i < 10; i++) await batch();
    return 10_000 / ((performance.now() - began) / 1000);
  };
  for (const [way, measure] of [
    ['unary_1', atOnce(1, 1_000)],
    ['unary_64', atOnce(64, 6_400)],
    ['batch_1000', inBatches],
  ] as const) {
    await measure();
    const rates: number[] = [];
    for (let i = 0; i < rounds; i++) rates.push(await measure());
    print({ case: 'accept', way, median_accepts_per_s: Math.round(percentile(rates, 0.5)), rounds });
  }
};
