import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Event_State as State } from '@evenfall/contracts/v1/event';
import {
  EventServiceService,
  ListEventsRequest,
  ListEventsRequest_OrderBy as OrderBy,
  ListEventsResponse,
} from '@evenfall/contracts/v1/event_service';
import type { Sql } from '@evenfall/postgres';
import { type ClientOf, grpcClient } from '@evenfall/rpc';
import { createEventTable } from '../../services/event-store/src/adapters/postgres/event-table.ts';
import { type BenchCase, percentile } from '../report.ts';
import type { Stack } from '../stack.ts';
import { FUNCTIONS, functionName, loadEnded } from '../load-ended.ts';

const QUERIES = 1_000;
const SIZES = [1_000_000, 10_000_000];
/** The garbage this client makes of the answers is collected so often, between two questions: its pauses are not the platform's. */
const COLLECT_EVERY = 10;
/** Before anything is measured: V8 optimizes what has been called 3,000 times. */
const WARM_UP = 4_000;

const FAILED = 'newest 100 that failed';
const SUCCEEDED = 'newest 100 that succeeded';
const ANY = 'newest 100 of any state';
const FAILED_BY_END = 'newest 100 that failed, by end';
const RARE = '10 that were terminated, which few are';
const BY_ID = 'one by id';

/** Reads of a large view: the newest 100 of one function by state, the page after it, one event by id, counts. Three days, 200 functions. */
export const listCase: BenchCase = async ({ stack, rounds, options, print }) => {
  const lists = grpcClient(AS_BYTES, stack.address, { headers: stack.headers });
  const sql = stack.sql();
  const probe = stack.sql(1);
  const sizes = options.stored ?? SIZES;
  // What is there already was loaded by an earlier run in the same folder (--data).
  let stored = (await sql<{ n: number }[]>`SELECT coalesce(sum(events), 0)::float8 AS n FROM events.ended_count`)[0]?.n ?? 0;
  try {
    for (const size of sizes) {
      const began = performance.now();
      const onLoaded = (rows: number): void => void process.stderr.write(`${rows / 1_000_000} million rows\n`);
      const ids = await loadEnded(sql, { from: stored, to: size, hours: 70, onLoaded });
      stored = size;
      print({ case: 'list', stored, load_s: Math.round((performance.now() - began) / 1000) });
      const all = questions(stack, lists.client, ids);
      for (let i = 0; i < WARM_UP; i++) await all[0]?.[1](i);
      for (const [what, ask] of all) {
        // Warm: a plan on every connection, and in memory what was written last, as it is on a machine that has just written it.
        for (let i = 0; i < 2 * FUNCTIONS; i++) await ask(i);
        const partitions = await partitionsTouched(probe, what, ids);
        const times: number[] = [];
        for (let round = 0; round < rounds; round++) {
          for (let i = 0; i < QUERIES / rounds; i++) {
            if (i % COLLECT_EVERY === 0) collect();
            const asked = performance.now();
            await ask(round * QUERIES + i);
            times.push(performance.now() - asked);
          }
        }
        print({
          case: 'list',
          stored,
          what,
          partitions,
          p50_ms: percentile(times, 0.5),
          p99_ms: percentile(times, 0.99),
          max_ms: percentile(times, 1),
        });
      }
    }
  } finally {
    lists.close();
    await Promise.all([sql.end(), probe.end()]);
  }
};

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as (options: { readonly type: 'minor' }) => void;
const collect = (): void => collectGarbage({ type: 'minor' });

/** A client that takes the bytes of an answer: what it makes of them is its own time, and each has its own way. */
const AS_BYTES = { listEvents: { ...EventServiceService.listEvents, responseDeserialize: (bytes: Buffer) => bytes } } as const;
type Lists = ClientOf<typeof AS_BYTES>;

type Question = readonly [string, (i: number) => Promise<unknown>];

function questions({ events }: Stack, lists: Lists, ids: readonly string[]): readonly Question[] {
  const list = (i: number, more: Partial<ListEventsRequest>): Promise<Buffer> => {
    const query = { namespace: 'default', function: functionName((i * 37) % FUNCTIONS), pageSize: 100, ...more };
    return lists.listEvents({ ...ListEventsRequest.create(), ...query });
  };
  const tokens = new Map<number, string>();
  const seen = new Set<string>();
  const expect = async (i: number, more: Partial<ListEventsRequest>, count: number) => {
    const answer = await list(i, more);
    const question = `${(i * 37) % FUNCTIONS} ${JSON.stringify(more)}`;
    if (seen.has(question)) return;
    seen.add(question);
    const { events: found } = ListEventsResponse.decode(answer);
    if (found.length !== count) throw new Error(`${found.length} events, not ${count}`);
  };
  return [
    [FAILED, (i) => expect(i, { states: [State.FAILED] }, 100)],
    [SUCCEEDED, (i) => expect(i, { states: [State.SUCCEEDED] }, 100)],
    [ANY, (i) => expect(i, {}, 100)],
    [FAILED_BY_END, (i) => expect(i, { states: [State.FAILED], orderBy: OrderBy.END_TIME }, 100)],
    [
      'the page after it',
      async (i) => {
        const key = (i * 37) % FUNCTIONS;
        if (!tokens.has(key)) tokens.set(key, ListEventsResponse.decode(await list(i, { states: [State.SUCCEEDED] })).nextPageToken);
        await expect(i, { states: [State.SUCCEEDED], pageToken: tokens.get(key) ?? '' }, 100);
      },
    ],
    [RARE, (i) => list(i, { states: [State.TERMINATED], pageSize: 10 })],
    [BY_ID, (i) => events.getEvent({ id: ids[(i * 7919) % ids.length] ?? '' })],
    ['counts of one function by state', (i) => events.countEvents({ namespace: 'default', function: functionName((i * 37) % FUNCTIONS) })],
  ];
}

/** How many partitions of ended events a question looks into, as Postgres counts the scans of its indexes: with a further query, without the API. */
async function partitionsTouched(probe: Sql, what: string, ids: readonly string[]): Promise<string> {
  const table = createEventTable(probe, probe, 72 * 3_600_000);
  const query = (more: Partial<ListEventsRequest>) =>
    table.listEvents({ ...ListEventsRequest.create(), namespace: 'default', function: functionName(0), ...more }, undefined, 101);
  const again: Readonly<Record<string, () => Promise<unknown>>> = {
    [FAILED]: () => query({ states: [State.FAILED] }),
    [SUCCEEDED]: () => query({ states: [State.SUCCEEDED] }),
    [ANY]: () => query({}),
    [FAILED_BY_END]: () => query({ states: [State.FAILED], orderBy: OrderBy.END_TIME }),
    [RARE]: () => query({ states: [State.TERMINATED] }),
    [BY_ID]: () => table.getEvent(ids[0] ?? ''),
  };
  const ask = again[what];
  if (!ask) return '';
  const scans = async (): Promise<Map<string, number>> => {
    await probe`SELECT pg_stat_force_next_flush()`;
    const rows = await probe<{ name: string; scans: number }[]>`
      SELECT relname AS name, coalesce(idx_scan, 0)::float8 AS scans FROM pg_stat_user_tables WHERE relname LIKE 'ended_event_h%'`;
    return new Map(rows.map((row) => [row.name, row.scans]));
  };
  await ask(); // its plan is made: that looks into partitions too
  const before = await scans();
  await ask();
  const after = await scans();
  const touched = [...after].filter(([name, count]) => count > (before.get(name) ?? 0)).length;
  return `${touched} of ${after.size}`;
}
