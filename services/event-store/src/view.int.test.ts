import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { Delivery_State as Delivery, Event_State as State } from '@evenfall/contracts/v1/event';
import {
  ListEventsRequest,
  ListEventsRequest_Order as Order,
  ListEventsRequest_OrderBy as OrderBy,
} from '@evenfall/contracts/v1/event_service';
import type { EventLog, Subscriber } from '@evenfall/event-log';
import { isRefusal } from '@evenfall/errors';
import { destinationKey } from '@evenfall/event-model';
import { migrate } from '@evenfall/postgres';
import { fakeClock, systemClock } from '@evenfall/time';
import { testDatabase, type TestDatabase } from '@evenfall/testkit';
import { createEventTable } from './adapters/postgres/event-table.ts';
import { createPartitions } from './adapters/postgres/partitions.ts';
import { createApplied } from './domain/applied.ts';
import { listEvents, listEventsByOffset } from './flows/list-events.ts';
import { createKeeper } from './flows/purge.ts';
import { createReadBarrier } from './flows/read-barrier.ts';
import { startFold } from './loops/fold.ts';
import { historyOf, idOf as idAt } from './testing/history.ts';

const HOUR = 3_600_000;
const RETENTION = 72 * HOUR;
const KEPT = { eventsMs: RETENTION, deadLettersMs: 2 * RETENTION };
const NOW = Date.now();

const idOf = (n: number, atMs = NOW): string => idAt(n, atMs);

let db: TestDatabase;
before(async () => {
  db = await testDatabase();
});
after(() => db.drop());
beforeEach(() => migrate(db.sql, { schema: 'events', dir: new URL('../migrations/', import.meta.url) }));
afterEach(() => db.sql`DROP SCHEMA events CASCADE`);

type Snapshot = ReturnType<ReturnType<typeof createEventTable>['snapshot']> extends AsyncIterable<infer Part> ? Part : never;

/** A fold, called by the test instead of by a log. */
async function openView() {
  const events = createEventTable(db.sql, db.sql, RETENTION);
  const partitions = createPartitions(db.sql);
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
  const { barrier } = createReadBarrier(log, applied, events.applied, new AbortController().signal, 500);
  startFold({
    log,
    events,
    partitions,
    onOwned: () => undefined,
    keptSinceMs: () => ({ eventsMs: Date.now() - KEPT.eventsMs, deadLettersMs: Date.now() - KEPT.deadLettersMs }),
    onStartOver: applied.startOver,
    onFolded: (_touched, endOffsets) => applied.moved(endOffsets),
  });
  await subscriber?.owned([0, 1]);
  return {
    events,
    partitions,
    barrier,
    ends,
    own: () => subscriber?.owned([0, 1]),
    async fold(firstOffset: number, records: readonly EventRecord[], partition = 0) {
      await subscriber?.apply([{ partition, firstOffset, records }]);
      ends.set(partition, firstOffset + records.length);
    },
  };
}

const rows = async (): Promise<unknown> => {
  const open =
    await db.sql`SELECT *, encode(data, 'hex') AS data, encode(payload, 'hex') AS payload, NULL AS accept_offset FROM events.open_event ORDER BY id`;
  const ended = await db.sql`SELECT *, encode(data, 'hex') AS data FROM events.ended_event ORDER BY id`;
  const applied = await db.sql`SELECT partition, end_offset::int FROM events.applied ORDER BY partition`;
  return JSON.parse(JSON.stringify([open, ended, applied])) as unknown;
};

/** Thirty events in every state there is, their records mixed as a log has them. */
function mixed(): EventRecord[] {
  const kinds = ['accepted', 'running', 'returned', 'threw', 'killed', 'lost'] as const;
  const histories = Array.from({ length: 30 }, (_, n) =>
    historyOf(idOf(n), { atMs: NOW - 10_000 + n, until: kinds[n % kinds.length] ?? 'returned', payload: JSON.stringify('é'.repeat(n)) }),
  );
  return [0, 1, 2].flatMap((step) => histories.flatMap((records) => records[step] ?? []));
}

describe('the fold', () => {
  it('changes nothing when somebody else has folded, and starts over from what they wrote', async () => {
    const [first, second] = [await openView(), await openView()];
    const records = mixed();
    await first.fold(0, records.slice(0, 40));
    const before_ = await rows();
    await assert.rejects(second.fold(0, records.slice(0, 50)), /Another event-store/);
    assert.deepEqual(await rows(), before_);
    await assert.rejects(second.fold(60, records.slice(60)), /Another event-store/, 'nor with a gap');
    assert.deepEqual(await rows(), before_);
    const offsets = await second.own();
    assert.equal(offsets?.get(0), 40);
    await second.fold(40, records.slice(40));
    await assert.rejects(first.fold(40, records.slice(40)), /Another event-store/);
  });

  it('makes the same rows of the same log, whatever the size of its bites', async () => {
    const records = mixed();
    const made: unknown[] = [];
    for (const bite of [1_000, 1, 7]) {
      const view = await openView();
      for (let at = 0; at < records.length; at += bite) await view.fold(at, records.slice(at, at + bite));
      made.push(await rows());
      await db.sql`TRUNCATE events.open_event, events.ended_event, events.applied`;
    }
    assert.deepEqual(made[1], made[0]);
    assert.deepEqual(made[2], made[0]);
    const [open, ended] = made[0] as [unknown[], unknown[]];
    assert.deepEqual([open.length, ended.length], [20, 10], 'what was lost or killed without being asked to waits for its retry');
  });

  it('takes every record twice and none of it counts twice', async () => {
    const view = await openView();
    const records = mixed();
    const twice = records.flatMap((record) => [record, record]);
    await view.fold(0, twice.slice(0, 33));
    await view.fold(33, twice.slice(33));
    const doubled = (await rows()) as [unknown[], unknown[], unknown];
    await db.sql`TRUNCATE events.open_event, events.ended_event, events.applied`;
    await (await openView()).fold(0, records);
    assert.deepEqual(doubled.slice(0, 2), ((await rows()) as unknown[]).slice(0, 2));
  });

  it('believes the first of a key, in one bite and in several, and after the end', async () => {
    const view = await openView();
    const id = '00000000-0000-8000-8000-000000000001';
    const first = historyOf(id, { atMs: NOW - 5_000, keyed: true, payload: '"first"' });
    const [again] = historyOf(id, { atMs: NOW - 1_000, keyed: true, payload: '"second"' });
    await view.fold(0, [...first.slice(0, 1), again as EventRecord]);
    await view.fold(2, [again as EventRecord, ...first.slice(1), again as EventRecord]);
    await view.fold(6, [again as EventRecord]);
    await (await openView()).fold(7, [again as EventRecord]); // one that was started anew and remembers nothing
    const event = await view.events.getEvent(id);
    assert.deepEqual([event?.state, event?.createTime], [State.SUCCEEDED, first[0]?.time]);
    assert.deepEqual(await view.events.loadOpen([id]), []);
    const [row] = await db.sql<{ n: number }[]>`SELECT count(*)::int AS n FROM events.ended_event`;
    assert.equal(row?.n, 1);
  });

  it('gives a snapshot whose offsets and events are of one moment', async () => {
    const view = await openView();
    const records = mixed();
    await view.fold(0, records.slice(0, 45));
    const taking = view.events.snapshot([0, 1]);
    const parts: Snapshot[] = [];
    for await (const part of taking) {
      if (parts.length === 0) await view.fold(45, records.slice(45)); // while it is being read
      parts.push(part);
    }
    const position = parts.flatMap((part) => part.positions).find(({ partition }) => partition === 0);
    const events = parts.flatMap((part) => part.events);
    assert.equal(position?.endOffset, 45);
    assert.equal(events.length, 30);
    assert.ok(events.every(({ stored: { event } = {} }) => event?.state === State.QUEUED || event?.state === State.RUNNING));
    assert.equal(events.find(({ stored }) => stored?.event?.id === idOf(3))?.stored?.payload.toString(), '"ééé"');
    const offsets = events.map(({ acceptOffset }) => Number(acceptOffset));
    assert.deepEqual(
      offsets,
      offsets.toSorted((a, b) => a - b),
    );
  });
});

describe('what is owed', () => {
  const policy = {
    onSuccess: { target: { $case: 'topic', value: { name: 'done' } } },
    onFailure: { target: { $case: 'topic', value: { name: 'broken' } } },
  } as const;
  const kinds = ['returned', 'threw'] as const;
  const histories = (): EventRecord[][] =>
    Array.from({ length: 12 }, (_, n) =>
      historyOf(idOf(n), {
        atMs: NOW - 10_000 + n,
        until: kinds[n % 2] ?? 'returned',
        policy,
        payload: JSON.stringify(`é${n}`),
        deliveries: n % 3 === 0 ? [Delivery.PENDING, Delivery.DELIVERED] : n % 3 === 1 ? [Delivery.PENDING] : [],
      }),
    );
  const mixedUp = (): EventRecord[] => [0, 1, 2, 3, 4].flatMap((step) => histories().flatMap((records) => records[step] ?? []));
  const tables = async (): Promise<unknown> => {
    const owed =
      await db.sql`SELECT *, encode(data, 'hex') AS data, convert_from(payload, 'UTF8') AS payload FROM events.delivery ORDER BY id`;
    const ended = await db.sql`SELECT id, encode(data, 'hex') AS data FROM events.ended_event ORDER BY id`;
    const dead =
      await db.sql`SELECT id, encode(data, 'hex') AS data, convert_from(payload, 'UTF8') AS payload FROM events.dead_letter ORDER BY id`;
    return JSON.parse(JSON.stringify([owed, ended, dead])) as unknown;
  };

  it('is the same whatever the size of the bites, with payloads, in the view and in dead letters', async () => {
    const made: unknown[] = [];
    for (const bite of [1_000, 1, 5]) {
      const view = await openView();
      for (let at = 0; at < mixedUp().length; at += bite) await view.fold(at, mixedUp().slice(at, at + bite));
      made.push(await tables());
      await db.sql`TRUNCATE events.open_event, events.ended_event, events.applied, events.delivery, events.dead_letter`;
    }
    assert.deepEqual(made[1], made[0]);
    assert.deepEqual(made[2], made[0]);
    const [owed, ended, dead] = made[0] as [{ payload: string }[], unknown[], { payload: string }[]];
    assert.deepEqual([owed.length, ended.length, dead.length], [8, 12, 6]);
    assert.deepEqual([owed[0]?.payload, dead[0]?.payload], ['"é1"', '"é1"']);
  });

  it('is shown by the event, is in the snapshot, and is listed by destination but for some', async () => {
    const view = await openView();
    await view.fold(0, mixedUp());
    const delivery = async (n: number) => (await view.events.getEvent(idOf(n)))?.deliveries[0];
    assert.deepEqual(
      [(await delivery(0))?.state, (await delivery(1))?.lastError, (await delivery(2))?.attemptCount],
      [Delivery.DELIVERED, 'failed 1', 0],
    );
    const parts: Snapshot[] = [];
    for await (const part of view.events.snapshot([0])) parts.push(part);
    const owed = parts.flatMap((part) => part.owed);
    assert.deepEqual([owed.length, parts.flatMap((part) => part.events).length], [8, 0]);
    assert.equal(owed[0]?.payload.toString(), '"é1"');
    const destination = destinationKey(policy.onFailure.target);
    const query = { partition: 0, destination, limit: 2, exceptEventIds: [idOf(1)] };
    const page = await view.events.listOwed(query);
    assert.deepEqual(page.owed.map(({ event }) => event?.id), [idOf(5), idOf(7)]); // prettier-ignore
    assert.equal(page.hasMore, true);
    assert.equal((await view.events.listOwed({ ...query, limit: 3 })).hasMore, false);
    assert.equal((await view.events.listOwed({ ...query, partition: 1 })).owed.length, 0);
  });
});

describe('partitions', () => {
  const names = async (): Promise<string[]> => {
    const found = await db.sql<
      { name: string }[]
    >`SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'events.ended_event'::regclass ORDER BY 1`;
    return found.map(({ name }) => name.replace('events.', ''));
  };
  const lowerOf = (ms: number): number => Math.floor(ms / (6 * HOUR)) * 6;

  const keeperAt = (startMs: number) => {
    const clock = fakeClock(startMs);
    return { clock, keeper: createKeeper(createPartitions(db.sql), KEPT, clock) };
  };
  const start = lowerOf(NOW) * HOUR;

  it('are there two days ahead, and go when all in them is past the retention, not before', async () => {
    const { keeper, clock } = keeperAt(start);
    assert.deepEqual(await keeper.round(), []);
    assert.equal((await names()).length, 9);
    clock.advance(6 * HOUR + RETENTION - 1);
    assert.deepEqual(await keeper.round(), []);
    const [first] = await names();
    clock.advance(1);
    const dropped = (await keeper.round()).map(({ name }) => name);
    assert.deepEqual(dropped, [first, first?.replace('ended_event', 'log_line')].sort());
    assert.ok(!(await names()).includes(first ?? ''));
    await createPartitions(db.sql).ensure([start]);
    assert.ok((await names()).includes(first ?? ''), 'a late end still finds a place');
  });

  it('are shown by a dry run as they would go, and stay', async () => {
    const { keeper, clock } = keeperAt(start);
    await keeper.round();
    const time = new Date(start + 12 * HOUR + RETENTION);
    const { partitions, heldBack } = await keeper.purge({ dryRun: true, time });
    assert.deepEqual([partitions.length, heldBack], [4, '']);
    assert.deepEqual(partitions[0]?.dueTime, new Date(start + 6 * HOUR + RETENTION));
    assert.ok((partitions[0]?.sizeBytes ?? 0n) > 0n);
    assert.equal((await names()).length, 9);
    assert.deepEqual((await keeper.purge({ dryRun: true, time: undefined })).partitions, []);
    await assert.rejects(keeper.purge({ dryRun: false, time }), (error) => isRefusal(error) && error.reason === 'INVALID_FIELD');
    clock.advance(6 * HOUR + RETENTION);
    assert.equal((await keeper.purge({ dryRun: false, time: undefined })).partitions.length, 2);
    assert.deepEqual((await keeper.purge({ dryRun: true, time: undefined })).partitions, []);
  });

  it('stay for an hour when the clock was set ahead, and for good when it is set right', async () => {
    const { keeper, clock } = keeperAt(start);
    await keeper.round();
    const stepped = { now: () => clock.now() + 10 * 24 * HOUR, monotonic: clock.monotonic };
    let ahead = false;
    const unsure = createKeeper(createPartitions(db.sql), KEPT, { now: () => (ahead ? stepped : clock).now(), monotonic: clock.monotonic });
    await unsure.round();
    const before = (await names()).filter((name) => name <= `ended_event_h${lowerOf(NOW) + 48}`);
    ahead = true;
    clock.advance(5 * 60_000);
    assert.deepEqual(await unsure.round(), []);
    assert.match((await unsure.purge({ dryRun: false, time: undefined })).heldBack, /the clock was set ahead/);
    ahead = false;
    clock.advance(30 * 60_000);
    assert.deepEqual(await unsure.round(), []);
    assert.deepEqual(
      (await names()).filter((name) => before.includes(name)),
      before,
    );
    ahead = true;
    clock.advance(60_000);
    await unsure.round();
    clock.advance(HOUR);
    assert.ok((await unsure.round()).length > 0, 'a clock that goes on for an hour is believed');
  });

  it('wait for an hour after an absence of days, since the clock may be wrong', async () => {
    await keeperAt(start).keeper.round();
    const { keeper, clock } = keeperAt(start + 30 * 24 * HOUR);
    assert.deepEqual(await keeper.round(), []);
    clock.advance(HOUR);
    const dropped = await keeper.round();
    assert.equal(dropped.filter(({ table }) => table === 'ended_event').length, 9);
  });

  it('go at last when a crash came between the steps of their going', async () => {
    const { keeper, clock } = keeperAt(start);
    await keeper.round();
    const [first = '', second = ''] = await names();
    await db.sql.unsafe(`ALTER TABLE events.ended_event DETACH PARTITION events.${first} CONCURRENTLY`); // detached, and not dropped
    // One that is being detached while somebody reads stays half detached when it is broken off.
    const reader = await db.sql.reserve();
    await reader.unsafe('BEGIN; SELECT count(*) FROM events.ended_event');
    const detaching = await db.sql.reserve();
    await detaching.unsafe(`SET statement_timeout = 300`);
    await assert.rejects(detaching.unsafe(`ALTER TABLE events.ended_event DETACH PARTITION events.${second} CONCURRENTLY`), /timeout/);
    await detaching.unsafe(`RESET statement_timeout`);
    detaching.release();
    await reader.unsafe('COMMIT');
    reader.release();
    clock.advance(12 * HOUR + RETENTION);
    const dropped = (await keeper.round()).map(({ name }) => name);
    assert.ok(dropped.includes(first) && dropped.includes(second));
    const [left] = await db.sql<{ n: number }[]>`SELECT count(*)::int AS n FROM pg_class WHERE relname = ANY(${[first, second]}::text[])`;
    assert.equal(left?.n, 0);
  });

  it('are made for whatever end a record tells of', async () => {
    const view = await openView();
    const at = NOW - 40 * HOUR;
    await view.fold(0, historyOf(idOf(1, at), { atMs: at }));
    assert.ok((await names()).includes(`ended_event_h${lowerOf(at)}`));
    assert.equal((await view.events.getEvent(idOf(1, at)))?.state, State.SUCCEEDED);
  });

  it('hide what is past the retention before they go', async () => {
    const view = await openView();
    const at = NOW - RETENTION - 60_000;
    await view.fold(0, [...historyOf(idOf(1, at), { atMs: at }), ...historyOf(idOf(2), { atMs: NOW - 5_000 })]);
    assert.equal(await view.events.getEvent(idOf(1, at)), undefined);
    const page = await listEvents(view, { ...ListEventsRequest.create(), namespace: 'default', function: 'f' });
    assert.deepEqual(
      page.events.map(({ id }) => id.slice(-12)),
      ['000000000002'],
    );
  });
});

describe('listing', () => {
  const query = (more: Partial<ListEventsRequest> = {}): ListEventsRequest => ({
    ...ListEventsRequest.create(),
    namespace: 'default',
    function: 'f',
    ...more,
  });
  const pages = async (view: Awaited<ReturnType<typeof openView>>, request: ListEventsRequest): Promise<string[]> => {
    const ids: string[] = [];
    let pageToken = '';
    do {
      const page = await listEvents(view, { ...request, pageToken });
      ids.push(...page.events.map(({ id }) => id));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return ids;
  };

  for (const [by, orderBy] of Object.entries({ start: OrderBy.START_TIME, end: OrderBy.END_TIME })) {
    for (const pageSize of [1, 3, 100]) {
      it(`by ${by} in pages of ${pageSize} is the whole list in either order, though many have one time`, async () => {
        const view = await openView();
        const kinds = ['accepted', 'running', 'returned', 'threw'] as const;
        const records = Array.from({ length: 24 }, (_, n) =>
          historyOf(idOf(n), { atMs: NOW - 10_000 + (n % 3), until: kinds[n % 4] ?? 'returned' }),
        ).flat();
        await view.fold(0, [...records, ...historyOf(idOf(99), { atMs: NOW, fn: 'other' })]);
        const down = await pages(view, query({ orderBy, order: Order.DESC, pageSize }));
        const up = await pages(view, query({ orderBy, order: Order.ASC, pageSize }));
        assert.equal(new Set(down).size, 24);
        assert.deepEqual(up, [...down].reverse());
        const whole = await pages(view, query({ orderBy, order: Order.DESC, pageSize: 100 }));
        assert.deepEqual(down, whole);
      });
    }
  }

  for (const [by, orderBy] of Object.entries({ start: OrderBy.START_TIME, end: OrderBy.END_TIME })) {
    it(`by ${by} and by number is the same list, and counts all that match on every page`, async () => {
      const view = await openView();
      const kinds = ['accepted', 'running', 'returned', 'threw'] as const;
      const records = Array.from({ length: 24 }, (_, n) =>
        historyOf(idOf(n), { atMs: NOW - 10_000 + (n % 3), until: kinds[n % 4] ?? 'returned' }),
      ).flat();
      await view.fold(0, [...records, ...historyOf(idOf(99), { atMs: NOW, fn: 'other' })]);
      for (const order of [Order.DESC, Order.ASC]) {
        const asked = query({ orderBy, order, pageSize: 5 });
        const whole = await pages(view, { ...asked, pageSize: 100 });
        for (const offset of [0, 5, 7, 22, 24, 1_000]) {
          const { events, totalCount } = await listEventsByOffset(view, { query: asked, offset, eventId: '' });
          assert.deepEqual(
            events.map(({ id }) => id),
            whole.slice(offset, offset + 5),
          );
          assert.equal(totalCount, 24n);
        }
      }
      const open = await listEventsByOffset(view, {
        query: query({ states: [State.QUEUED, State.RUNNING], orderBy }),
        offset: 10,
        eventId: '',
      });
      assert.deepEqual([open.events.length, open.totalCount], [2, 12n]);
      const one = await listEventsByOffset(view, { query: query({ orderBy }), offset: 0, eventId: idOf(2) });
      assert.deepEqual([one.events.map(({ id }) => id), one.totalCount], [[idOf(2)], 1n]);
      for (const eventId of [idOf(99), 'no id'])
        assert.deepEqual(await listEventsByOffset(view, { query: query({ orderBy }), offset: 0, eventId }), { events: [], totalCount: 0n });
      for (const offset of [-1, 1_000_001])
        await assert.rejects(listEventsByOffset(view, { query: query(), offset, eventId: '' }), /offset/);
    });
  }

  it('waits for what the log has, and says so when it does not come', async () => {
    const view = await openView();
    await view.fold(0, historyOf(idOf(1), { atMs: NOW - 1_000 }));
    view.ends.set(0, 6);
    const list = listEvents(view, query());
    const late = historyOf(idOf(2), { atMs: NOW - 500 });
    await view.fold(3, late);
    assert.equal((await list).events.length, 2);
    await assert.rejects(view.barrier.reached(new Map([[1, 1]])), (error) => isRefusal(error) && error.reason === 'VIEW_UNAVAILABLE');
  });
});
