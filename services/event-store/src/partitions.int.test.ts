import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Event_State as State } from '@evenfall/contracts/v1/event';
import { ListEventsRequest } from '@evenfall/contracts/v1/event_service';
import { isRefusal } from '@evenfall/errors';
import { fakeClock } from '@evenfall/time';
import { createPartitions } from './adapters/postgres/partitions.ts';
import { listEvents } from './flows/list-events.ts';
import { createKeeper } from './flows/purge.ts';
import { historyOf, idOf as idAt } from './testing/history.ts';
import { HOUR, KEPT, eachOnAnEmptySchema, RETENTION } from './testing/view.ts';

const NOW = Date.now();
const idOf = (n: number, atMs = NOW): string => idAt(n, atMs);

const { db, openView } = eachOnAnEmptySchema();

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
    assert.ok((await unsure.round()).length > 0, 'a clock that goes on for an hour is trusted');
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
    // A partition that is being detached while a query reads it stays half detached when the statement is cancelled.
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

  it('are made for every end in a record', async () => {
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
