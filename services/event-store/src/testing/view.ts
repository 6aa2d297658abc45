import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import type { EventLog, LogBatch, Subscriber } from '@evenfall/event-log';
import { after, afterEach, before, beforeEach } from 'node:test';
import { migrate, type Sql } from '@evenfall/postgres';
import { testDatabase, type TestDatabase } from '@evenfall/testkit';
import { systemClock } from '@evenfall/time';
import { createEventTable } from '../adapters/postgres/event-table.ts';
import { createPartitions } from '../adapters/postgres/partitions.ts';
import { createPutAsideTable } from '../adapters/postgres/put-aside-table.ts';
import { createApplied } from '../domain/applied.ts';
import { createKeeper } from '../flows/purge.ts';
import { createReadBarrier } from '../flows/read-barrier.ts';
import { startFold } from '../loops/fold.ts';

export const HOUR = 3_600_000;
export const RETENTION = 72 * HOUR;
export const KEPT = { eventsMs: RETENTION, deadLettersMs: 2 * RETENTION };
export const MIGRATIONS = new URL('../../migrations/', import.meta.url);

export type View = Awaited<ReturnType<typeof openView>>;

/** A fold, called by the test instead of by a log. */
export async function openView(sql: Sql) {
  const events = createEventTable(sql, sql, RETENTION);
  const partitions = createPartitions(sql);
  const aside = createPutAsideTable(sql);
  await createKeeper(partitions, KEPT, systemClock).round();
  const applied = createApplied();
  let subscriber: Subscriber | undefined;
  const ends = new Map<number, number>();
  const log = {
    subscribe(given: Subscriber) {
      subscriber = given;
      return { applied: () => undefined, stop: async () => undefined };
    },
    endOffsets: async () => new Map(ends),
  } as unknown as EventLog; // of which a fold and a barrier ask no more
  const { barrier } = createReadBarrier(log, applied, events.applied, new AbortController().signal, {
    hurry: () => undefined,
    withinMs: 500,
  });
  startFold({
    log,
    events,
    partitions,
    aside,
    onPutAside: () => undefined,
    onTrouble: () => undefined,
    onOwned: () => undefined,
    onAudited: () => undefined,
    isAwaited: () => true,
    notifiesAhead: false,
    onFolding: () => undefined,
    onNotFolded: () => undefined,
    retainedSinceMs: () => ({ eventsMs: Date.now() - KEPT.eventsMs, deadLettersMs: Date.now() - KEPT.deadLettersMs }),
    onStartOver: applied.startOver,
    onFolded: (_touched, endOffsets) => applied.moved(endOffsets),
  });
  await subscriber?.owned([0, 1]);
  return {
    events,
    partitions,
    aside,
    barrier,
    ends,
    own: () => subscriber?.owned([0, 1]),
    /** Hands batches on as a log does. */
    apply: (batches: readonly LogBatch[]) => subscriber?.apply(batches) ?? Promise.resolve(),
    async fold(firstOffset: number, records: readonly EventRecord[], partition = 0) {
      await subscriber?.apply([{ partition, firstOffset, records }]);
      ends.set(partition, firstOffset + records.length);
    },
  };
}

/** A database for the tests of a file, and an empty schema for each of them. */
export function eachOnAnEmptySchema() {
  let made: TestDatabase;
  before(async () => {
    made = await testDatabase();
  });
  after(() => made.drop());
  beforeEach(() => migrate(made.sql, { schema: 'events', dir: MIGRATIONS }));
  afterEach(() => made.sql`DROP SCHEMA events CASCADE`);
  return {
    /** Not before the tests have begun. */
    db: {
      get sql(): Sql {
        return made.sql;
      },
    },
    openView: (): Promise<View> => openView(made.sql),
  };
}
