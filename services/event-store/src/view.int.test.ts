import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { Delivery_State as Delivery, Event_State as State } from '@evenfall/contracts/v1/event';
import { destinationKey } from '@evenfall/event-model';
import { migrate } from '@evenfall/postgres';
import type { createEventTable } from './adapters/postgres/event-table.ts';
import { historyOf, idOf as idAt } from './testing/history.ts';
import { HOUR, MIGRATIONS, eachOnAnEmptySchema } from './testing/view.ts';

const NOW = Date.now();
const idOf = (n: number, atMs = NOW): string => idAt(n, atMs);

const { db, openView } = eachOnAnEmptySchema();

type Snapshot = ReturnType<ReturnType<typeof createEventTable>['snapshot']> extends AsyncIterable<infer Part> ? Part : never;

const rows = async (): Promise<unknown> => {
  const open =
    await db.sql`SELECT *, encode(data, 'hex') AS data, encode(payload, 'hex') AS payload, NULL AS accept_offset FROM events.open_event ORDER BY id`;
  const ended = await db.sql`SELECT *, encode(data, 'hex') AS data FROM events.ended_event ORDER BY id`;
  const applied = await db.sql`SELECT partition, end_offset::int FROM events.applied ORDER BY partition`;
  return JSON.parse(JSON.stringify([open, ended, applied])) as unknown;
};

/** Of every row of every table, so that nothing can change unseen. */
async function hashOfAll(): Promise<string> {
  const hash = createHash('sha256');
  for (const table of ['applied', 'open_event', 'ended_event', 'ended_count', 'dead_letter', 'delivery']) {
    const found = await db.sql.unsafe<{ text: string }[]>(`SELECT to_jsonb(t)::text AS text FROM events.${table} t ORDER BY 1`);
    for (const { text } of found) hash.update(`${table}${text}\n`);
  }
  return hash.digest('hex');
}

/** Thirty events in every state there is, their records mixed as a log has them. */
function mixed(): EventRecord[] {
  const kinds = ['accepted', 'running', 'returned', 'threw', 'killed', 'lost'] as const;
  const histories = Array.from({ length: 30 }, (_, n) =>
    historyOf(idOf(n), { atMs: NOW - 10_000 + n, until: kinds[n % kinds.length] ?? 'returned', payload: JSON.stringify('é'.repeat(n)) }),
  );
  return [0, 1, 2].flatMap((step) => histories.flatMap((records) => records[step] ?? []));
}

describe('the fold', () => {
  it('changes nothing when another replica has folded, and starts over from what that one wrote', async () => {
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

  it('changes no row when the whole log is folded again, and makes the same in an empty database', async () => {
    const records = [...mixed(), ...historyOf(idOf(77, NOW - 100 * HOUR), { atMs: NOW - 100 * HOUR })];
    const view = await openView();
    for (let at = 0; at < records.length; at += 11) await view.fold(at, records.slice(at, at + 11));
    const hash = await hashOfAll();
    await db.sql`UPDATE events.applied SET end_offset = 0, owner = ''`;
    const again = await openView();
    for (let at = 0; at < records.length; at += 13) await again.fold(at, records.slice(at, at + 13));
    assert.equal(await hashOfAll(), hash);
    await db.sql`DROP SCHEMA events CASCADE`;
    await migrate(db.sql, { schema: 'events', dir: MIGRATIONS });
    await (await openView()).fold(0, records);
    assert.equal(await hashOfAll(), hash);
    assert.equal(await again.events.getEvent(idOf(77, NOW - 100 * HOUR)), undefined, 'what is past the retention is not made anew');
  });

  it('keeps the first event of a key, in one batch and in several, and after the end', async () => {
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

  it('gives a snapshot with the times of the log that the next owner measures by, from memory and read back', async () => {
    const [retry, delayed] = [idOf(1, NOW), idOf(2, NOW)];
    const policy = { maxRetries: 1, retryIntervalMs: 60_000 };
    const [accepted, ...ran] = historyOf(retry, { atMs: NOW, until: 'threw', policy }) as [EventRecord, ...EventRecord[]];
    const word: EventRecord = { ...accepted, eventId: '', writerId: 'next', change: { $case: 'ownerChanged', value: {} } };
    const other = historyOf(delayed, { atMs: NOW, until: 'accepted' });
    const timeMs = (at: number) => NOW + 90_000_000 + at; // of a clock that has nothing to do with the writer's
    const view = await openView();
    const batch = (firstOffset: number, records: readonly EventRecord[]) => ({ partition: 0, firstOffset, records });
    await view.apply([{ ...batch(0, [accepted]), appendTimesMs: timeMs(0) }]);
    await view.own(); // what is in memory goes: rows are read back
    await view.apply([{ ...batch(1, ran), appendTimesMs: ran.map((_, i) => timeMs(1 + i)) }, batch(1 + ran.length, other)]);
    await view.apply([{ ...batch(2 + ran.length, [word]), appendTimesMs: timeMs(9) }]);
    await view.own();
    await view.fold(3 + ran.length, historyOf(idOf(3, NOW), { atMs: NOW })); // a fold without a new owner keeps what is known of this one
    const parts: Snapshot[] = [];
    for await (const part of view.events.snapshot([0])) parts.push(part);
    const [position] = parts.flatMap(({ positions }) => positions);
    assert.deepEqual([position?.owner, position?.ownerLogMs], ['next', timeMs(9)]);
    await db.sql`UPDATE events.applied SET owner = 'third' WHERE partition = 0`; // as a replica of the version of before moves it
    const [moved] = await view.events.positions([0]);
    assert.deepEqual([moved?.owner, moved?.ownerLogMs], ['third', undefined], 'a time is of the owner it was written with');
    const folded = new Map(parts.flatMap(({ events }) => events).map((one) => [one.folded?.event?.id, one.folded]));
    assert.deepEqual(
      [retry, delayed].map((id) => [folded.get(id)?.acceptLogTime, folded.get(id)?.waitLogTime, folded.get(id)?.waitMs]),
      [
        [new Date(timeMs(0)), new Date(timeMs(ran.length)), 60_000],
        [undefined, undefined, 0],
      ],
    );
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
    assert.ok(events.every(({ folded: { event } = {} }) => event?.state === State.QUEUED || event?.state === State.RUNNING));
    assert.equal(events.find(({ folded }) => folded?.event?.id === idOf(3))?.folded?.payload.toString(), '"ééé"');
    const offsets = events.map(({ acceptOffset }) => Number(acceptOffset));
    assert.deepEqual(
      offsets,
      offsets.toSorted((a, b) => a - b),
    );
  });
});

describe('pending deliveries', () => {
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
    const pendingDeliveries =
      await db.sql`SELECT *, encode(data, 'hex') AS data, convert_from(payload, 'UTF8') AS payload FROM events.delivery ORDER BY id`;
    const ended = await db.sql`SELECT id, encode(data, 'hex') AS data FROM events.ended_event ORDER BY id`;
    const dead =
      await db.sql`SELECT id, encode(data, 'hex') AS data, convert_from(payload, 'UTF8') AS payload FROM events.dead_letter ORDER BY id`;
    return JSON.parse(JSON.stringify([pendingDeliveries, ended, dead])) as unknown;
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
    const [pendingDeliveries, ended, dead] = made[0] as [{ payload: string }[], unknown[], { payload: string }[]];
    assert.deepEqual([pendingDeliveries.length, ended.length, dead.length], [8, 12, 6]);
    assert.deepEqual([pendingDeliveries[0]?.payload, dead[0]?.payload], ['"é1"', '"é1"']);
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
    const pendingDeliveries = parts.flatMap((part) => part.pendingDeliveries);
    assert.deepEqual([pendingDeliveries.length, parts.flatMap((part) => part.events).length], [8, 0]);
    assert.equal(pendingDeliveries[0]?.payload.toString(), '"é1"');
    const destination = destinationKey(policy.onFailure.target);
    const query = { partition: 0, destination, limit: 2, exceptEventIds: [idOf(1)] };
    const page = await view.events.listPendingDeliveries(query);
    assert.deepEqual(page.pendingDeliveries.map(({ event }) => event?.id), [idOf(5), idOf(7)]); // prettier-ignore
    assert.equal(page.hasMore, true);
    assert.equal((await view.events.listPendingDeliveries({ ...query, limit: 3 })).hasMore, false);
    assert.equal((await view.events.listPendingDeliveries({ ...query, partition: 1 })).pendingDeliveries.length, 0);
  });
});
