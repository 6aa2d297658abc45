import { Event_State as State } from '@evenfall/contracts/v1/event';
import { ListEventsRequest, ListEventsRequest_OrderBy as OrderBy } from '@evenfall/contracts/v1/event_service';
import type { Sql } from '@evenfall/postgres';
import { type BenchCase, percentile } from '../report.ts';
import type { Stack } from '../stack.ts';
import { FUNCTIONS, functionName, loadEnded } from '../load-ended.ts';

const QUERIES = 1_000;
const SIZES = [1_000_000, 10_000_000];

/** Reads of a large view: the newest 100 of one function by state, the page after it, one event by id, counts. Three days, 200 functions. */
export const listCase: BenchCase = async ({ stack, rounds, print }) => {
  const sql = stack.sql();
  let stored = 0;
  try {
    for (const size of SIZES) {
      const began = performance.now();
      const ids = await loadEnded(sql, { from: stored, to: size, hours: 70 });
      stored = size;
      print({ case: 'list', stored, load_s: Math.round((performance.now() - began) / 1000) });
      for (const [what, ask] of questions(stack, ids)) {
        for (let i = 0; i < 50; i++) await ask(i); // warm: buffers, and a plan on every connection
        const partitions = await partitionsTouched(sql, () => ask(0));
        const all: number[] = [];
        for (let round = 0; round < rounds; round++) {
          for (let i = 0; i < QUERIES / rounds; i++) {
            const asked = performance.now();
            await ask(round * QUERIES + i);
            all.push(performance.now() - asked);
          }
        }
        print({
          case: 'list',
          stored,
          what,
          partitions,
          p50_ms: percentile(all, 0.5),
          p99_ms: percentile(all, 0.99),
          max_ms: percentile(all, 1),
        });
      }
    }
  } finally {
    await sql.end();
  }
};

type Question = readonly [string, (i: number) => Promise<unknown>];

function questions({ events }: Stack, ids: readonly string[]): readonly Question[] {
  const list = (i: number, more: Partial<ListEventsRequest>) => {
    const query = { namespace: 'default', function: functionName((i * 37) % FUNCTIONS), pageSize: 100, ...more };
    return events.listEvents({ ...ListEventsRequest.create(), ...query });
  };
  const tokens = new Map<number, string>();
  const expect = async (i: number, more: Partial<ListEventsRequest>, count: number) => {
    const { events: found } = await list(i, more);
    if (found.length !== count) throw new Error(`${found.length} events, not ${count}`);
  };
  return [
    ['newest 100 that failed', (i) => expect(i, { states: [State.FAILED] }, 100)],
    ['newest 100 that succeeded', (i) => expect(i, { states: [State.SUCCEEDED] }, 100)],
    ['newest 100 of any state', (i) => expect(i, {}, 100)],
    ['newest 100 that failed, by end', (i) => expect(i, { states: [State.FAILED], orderBy: OrderBy.END_TIME }, 100)],
    [
      'the page after it',
      async (i) => {
        const key = (i * 37) % FUNCTIONS;
        if (!tokens.has(key)) tokens.set(key, (await list(i, { states: [State.SUCCEEDED] })).nextPageToken);
        await expect(i, { states: [State.SUCCEEDED], pageToken: tokens.get(key) ?? '' }, 100);
      },
    ],
    ['10 that were terminated, which few are', (i) => list(i, { states: [State.TERMINATED], pageSize: 10 })],
    ['one by id', (i) => events.getEvent({ id: ids[(i * 7919) % ids.length] ?? '' })],
    ['counts of one function by state', (i) => events.countEvents({ namespace: 'default', function: functionName((i * 37) % FUNCTIONS) })],
  ];
}

/** How many partitions of ended events a question looks into, as Postgres itself counts its index scans. */
async function partitionsTouched(sql: Sql, ask: () => Promise<unknown>): Promise<string> {
  const scans = async (): Promise<Map<string, number>> => {
    await new Promise((resolve) => setTimeout(resolve, 1_500)); // backends tell at most once a second
    const rows = await sql<{ name: string; scans: number }[]>`
      SELECT relname AS name, coalesce(idx_scan, 0)::float8 AS scans FROM pg_stat_user_tables WHERE relname LIKE 'ended_event_h%'`;
    return new Map(rows.map((row) => [row.name, row.scans]));
  };
  const before = await scans();
  await ask();
  const after = await scans();
  const touched = [...after].filter(([name, count]) => count > (before.get(name) ?? 0)).length;
  return `${touched} of ${after.size}`;
}
