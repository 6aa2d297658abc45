import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Event_State as State } from '@evenfall/contracts/v1/event';
import {
  ListEventsRequest,
  ListEventsRequest_Order as Order,
  ListEventsRequest_OrderBy as OrderBy,
} from '@evenfall/contracts/v1/event_service';
import { isRefusal } from '@evenfall/errors';
import { countEvents, listEvents, listEventsByOffset } from './flows/list-events.ts';
import { historyOf, idOf as idAt } from './testing/history.ts';
import { HOUR, eachOnAnEmptySchema, RETENTION, type View } from './testing/view.ts';

const NOW = Date.now();
const idOf = (n: number, atMs = NOW): string => idAt(n, atMs);

const { db, openView } = eachOnAnEmptySchema();

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

  /** 300 events over three days, some of which ran for a day, in states of which one is rare, with versions and triggers. */
  const spread = async (view: View): Promise<void> => {
    let offset = 0;
    for (let n = 0; n < 300; n++) {
      const atMs = NOW - 70 * HOUR + n * 14 * 60_000;
      const until = n % 50 === 7 ? 'threw' : n > 290 ? 'running' : 'returned';
      const runsMs = n % 11 === 0 ? Math.min(20 * HOUR, NOW - atMs - 60_000) : 30;
      const records = historyOf(idOf(n, atMs), { atMs, until, runsMs: Math.max(10, runsMs) });
      await view.fold(offset, records);
      offset += records.length;
    }
  };

  it('over many partitions is what one long look at all of it would be', async () => {
    const view = await openView();
    await spread(view);
    const all = await pages(view, query({ pageSize: 100, order: Order.ASC }));
    assert.equal(all.length, 300);
    for (const states of [[], [State.SUCCEEDED], [State.FAILED], [State.FAILED, State.RUNNING]]) {
      const up = await pages(view, query({ states, pageSize: 100, order: Order.ASC }));
      const down = await pages(view, query({ states, pageSize: 7 }));
      assert.deepEqual(down, [...up].reverse());
      const byEnd = await pages(view, query({ states, pageSize: 7, orderBy: OrderBy.END_TIME }));
      assert.deepEqual([...byEnd].sort(), [...up].sort());
    }
    const startTimeAfter = new Date(NOW - 30 * HOUR);
    const endTimeBefore = new Date(NOW - 10 * HOUR);
    const some = await pages(view, query({ startTimeAfter, endTimeBefore, pageSize: 9 }));
    const expected: string[] = [];
    for (const id of all) {
      const event = await view.events.getEvent(id);
      if (event?.startTime && event.startTime >= startTimeAfter && event.endTime && event.endTime < endTimeBefore) expected.push(id);
    }
    assert.ok(expected.length > 20);
    assert.deepEqual([...some].sort(), [...expected].sort());
  });

  it('says how many there are, exactly where they were counted or are few', async () => {
    const view = await openView();
    await spread(view);
    const sizeOf = async (more: Partial<ListEventsRequest>) => {
      const { totalSize, totalSizeIsEstimate } = await listEvents(view, query({ pageSize: 1, showTotalSize: true, ...more }));
      return [Number(totalSize), totalSizeIsEstimate];
    };
    assert.deepEqual(await sizeOf({}), [300, false]);
    assert.deepEqual(await sizeOf({ states: [State.FAILED] }), [6, false]);
    assert.deepEqual(await sizeOf({ states: [State.RUNNING, State.FAILED] }), [15, false]);
    assert.deepEqual(await sizeOf({ trigger: 'api' }), [300, false]);
    assert.deepEqual(await sizeOf({ trigger: 'no such' }), [0, false]);
    assert.deepEqual(await sizeOf({ endTimeBefore: new Date(NOW - 100 * HOUR) }), [0, false]);
    assert.equal((await listEvents(view, query())).totalSize, undefined);
    const { events, totalCount } = await listEventsByOffset(view, {
      query: query({ states: [State.SUCCEEDED], pageSize: 3 }),
      offset: 100,
      eventId: '',
    });
    assert.deepEqual([events.length, totalCount], [3, 285n]);
  });

  it('estimates what is too much to count, honestly', async () => {
    const view = await openView();
    await view.partitions.ensure([NOW - HOUR]);
    const [first] = await makeMany(12_000);
    const asked = query({ function: 'many', trigger: 'api', showTotalSize: true, pageSize: 1 });
    const { totalSize, totalSizeIsEstimate } = await listEvents(view, asked);
    assert.equal(totalSizeIsEstimate, true);
    assert.ok(Number(totalSize) > 10_000 && Number(totalSize) < 14_000, String(totalSize));
    assert.ok(first);
  });

  /** Rows as the fold writes them, made by the database. */
  async function makeMany(count: number): Promise<readonly unknown[]> {
    const endMs = NOW - HOUR;
    return db.sql`
      WITH made AS (
        INSERT INTO events.ended_event (id, namespace, function, version, trigger, state, sort_time, end_time, data)
        SELECT gen_random_uuid(), 'default', 'many', '$LATEST', 'api', 4, to_timestamp(${endMs}::float8 / 1000), to_timestamp(${endMs}::float8 / 1000), ''
        FROM generate_series(1, ${count}::int) RETURNING 1)
      INSERT INTO events.ended_count SELECT 'default', 'many', 4, date_bin('6 hours', to_timestamp(${endMs}::float8 / 1000), 'epoch'), count(*) FROM made RETURNING 1`;
  }

  it('counts by function and state, what is past the retention not among it', async () => {
    const view = await openView();
    await spread(view);
    const past = NOW - RETENTION - 60_000; // in the oldest partition there is, half of which is hidden
    const near = NOW - RETENTION + 60_000;
    await view.partitions.ensure([past]);
    await view.fold(0, historyOf(idOf(901, near), { atMs: near }), 1);
    await db.sql`
      INSERT INTO events.ended_event SELECT ${idOf(900, past)}::uuid, namespace, function, version, trigger, state, to_timestamp(${past}::float8 / 1000),
        to_timestamp(${past}::float8 / 1000), data FROM events.ended_event WHERE id = ${idOf(901, near)}`;
    await view.fold(
      3,
      [...historyOf(idOf(902), { atMs: NOW - 5_000, fn: 'other' }), ...historyOf(idOf(903), { atMs: NOW, until: 'accepted', fn: 'other' })],
      1,
    );
    const { counts } = await countEvents(view, { namespace: 'default', function: '' });
    assert.deepEqual(counts, [
      { function: 'f', state: State.RUNNING, count: 9n },
      { function: 'f', state: State.SUCCEEDED, count: 286n },
      { function: 'f', state: State.FAILED, count: 6n },
      { function: 'other', state: State.QUEUED, count: 1n },
      { function: 'other', state: State.SUCCEEDED, count: 1n },
    ]);
    assert.deepEqual((await countEvents(view, { namespace: 'default', function: 'other' })).counts, counts.slice(3));
    assert.deepEqual((await countEvents(view, { namespace: 'none', function: '' })).counts, []);
  });

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
