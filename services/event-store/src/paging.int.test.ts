import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ListEventsRequest,
  ListEventsRequest_Order as Order,
  ListEventsRequest_OrderBy as OrderBy,
} from '@evenfall/contracts/v1/event_service';
import { listEvents } from './flows/list-events.ts';
import { historyOf, idOf } from './testing/history.ts';
import { eachOnAnEmptySchema, HOUR, type View } from './testing/view.ts';

const NOW = Date.now();
const COUNT = 30;

const { db, openView } = eachOnAnEmptySchema();
const query = (more: Partial<ListEventsRequest>): ListEventsRequest => ({
  ...ListEventsRequest.create(),
  namespace: 'default',
  function: 'f',
  ...more,
});

/** Walks through all pages; between two of them something happens. */
async function walk(view: View, request: ListEventsRequest, between: () => Promise<void>): Promise<string[]> {
  const seen: string[] = [];
  for (let pageToken = '', isFirst = true; isFirst || pageToken !== ''; isFirst = false) {
    if (!isFirst) await between();
    const page = await listEvents(view, { ...request, pageToken });
    seen.push(...page.events.map(({ id }) => id));
    pageToken = page.nextPageToken;
  }
  return seen;
}

describe('a walk through the pages while events start and end', () => {
  const orders = { 'newest first': Order.DESC, 'oldest first': Order.ASC };
  for (const [by, orderBy] of Object.entries({ creation: OrderBy.START_TIME, end: OrderBy.END_TIME }))
    for (const [how, order] of Object.entries(orders))
      for (const pageSize of [1, 2, 7])
        for (const perPage of [1, 5, COUNT])
          it(`by ${by}, ${how}, in pages of ${pageSize}, ${perPage} of them meanwhile, shows all that was there`, async () => {
            const view = await openView();
            // Every third has ended before; the others wait, and start and end in a mixed order.
            const histories = Array.from({ length: COUNT }, (_, n) =>
              historyOf(idOf((n * 7) % COUNT, NOW), {
                atMs: NOW - 60_000 + n * 10,
                startsAfterMs: n % 3 === 0 ? 5 : 50_000 + ((n * 11) % COUNT) * 100,
              }),
            );
            const ids = histories.map(([first]) => first?.eventId ?? '');
            const before = histories.flatMap((history, n) => (n % 3 === 0 ? history : history.slice(0, 1)));
            const later = histories.filter((_, n) => n % 3 !== 0).sort((a, b) => Number(a.at(-1)?.time) - Number(b.at(-1)?.time));
            let offset = 0;
            const fold = async (records: typeof before): Promise<void> => {
              if (records.length === 0) return;
              await view.fold(offset, records);
              offset += records.length;
            };
            await fold(before);
            const seen = await walk(view, query({ orderBy, order, pageSize }), () =>
              fold(later.splice(0, perPage).flatMap((history) => history.slice(1))),
            );
            assert.deepEqual([...new Set(seen)].sort(), [...ids].sort(), 'none is missing');
            if (orderBy === OrderBy.START_TIME) assert.equal(seen.length, COUNT, 'none is there twice');
          });

  it('filters by the start all the same, of rows of before too', async () => {
    const view = await openView();
    const delayed = historyOf(idOf(1, NOW), { atMs: NOW - 6 * HOUR, startsAfterMs: 5 * HOUR });
    const early = historyOf(idOf(2, NOW), { atMs: NOW - 5 * HOUR, startsAfterMs: 10 });
    const old = historyOf(idOf(3, NOW), { atMs: NOW - 90 * 60_000, startsAfterMs: 10 });
    await view.fold(0, [...delayed, ...early, ...old]);
    const startedAt = new Date(NOW - 80 * 60_000).toISOString();
    await db.sql`UPDATE events.ended_event SET start_time = NULL, sort_time = ${startedAt} WHERE id = ${idOf(3, NOW)}`;
    const startTimeAfter = new Date(NOW - 2 * HOUR);
    const startTimeBefore = new Date(NOW - 59 * 60_000);
    const ids = async (more: Partial<ListEventsRequest>): Promise<string[]> =>
      (await listEvents(view, query(more))).events.map(({ id }) => id);
    assert.deepEqual(await ids({ startTimeAfter }), [idOf(3, NOW), idOf(1, NOW)]);
    assert.deepEqual(await ids({ startTimeAfter, startTimeBefore: new Date(NOW - 70 * 60_000) }), [idOf(3, NOW)]);
    assert.deepEqual(await ids({ startTimeBefore }), [idOf(3, NOW), idOf(2, NOW), idOf(1, NOW)]);
    assert.deepEqual(await ids({ startTimeBefore: startTimeAfter }), [idOf(2, NOW)]);
  });
});

describe('an event whose id and whose end are of clocks that differ', () => {
  for (const hours of [-70, -7, -1, -0.05, 0.05, 1, 7, 70])
    it(`is found and listed where the id is ${hours} hours off`, async () => {
      const view = await openView();
      const id = idOf(1, NOW + hours * HOUR);
      await view.fold(0, historyOf(id, { atMs: NOW - 1_000 }));
      assert.equal((await view.events.getVersioned(id))?.event.id, id);
      assert.deepEqual(
        (await listEvents(view, query({}))).events.map((event) => event.id),
        [id],
      );
    });

  for (const hours of [1, 7, 24])
    it(`is found and listed where both are of a clock that was ${hours} hours ahead and has been set right`, async () => {
      const view = await openView();
      const atMs = NOW + hours * HOUR;
      assert.equal((await listEvents(view, query({}))).events.length, 0, 'it has looked once');
      await view.partitions.ensure([atMs]);
      await view.fold(0, historyOf(idOf(1, atMs), { atMs }));
      assert.equal((await view.events.getVersioned(idOf(1, atMs)))?.event.id, idOf(1, atMs));
      const another = await openView(); // that has folded nothing itself
      for (const one of [view, another])
        for (const orderBy of [OrderBy.START_TIME, OrderBy.END_TIME])
          assert.equal((await listEvents(one, query({ orderBy }))).events.length, 1);
    });
});
