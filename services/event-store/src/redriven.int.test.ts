import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { Event_State as State } from '@evenfall/contracts/v1/event';
import {
  ListEventsRequest,
  ListEventsRequest_Order as Order,
  ListEventsRequest_OrderBy as OrderBy,
} from '@evenfall/contracts/v1/event_service';
import { listEvents, listEventsByOffset } from './flows/list-events.ts';
import { historyOf, idOf } from './testing/history.ts';
import { eachOnAnEmptySchema, HOUR, RETENTION, type View } from './testing/view.ts';

const NOW = Date.now();
const [OLD, NEW, OTHER] = [idOf(1, NOW), idOf(2, NOW), idOf(3, NOW)];

/** A failed event, the event that was made of its dead letter, and a failed one that was left alone. */
const old = historyOf(OLD, { atMs: NOW - 60_000, until: 'threw' });
const other = historyOf(OTHER, { atMs: NOW - 60_000, until: 'threw' });
const made = historyOf(NEW, { atMs: NOW - 30_000 }).map((record): EventRecord => {
  if (record.change?.$case !== 'accepted') return record;
  return { ...record, change: { $case: 'accepted', value: { ...record.change.value, keyed: true, redrivenFrom: OLD } } };
});

const query = (more: Partial<ListEventsRequest> = {}): ListEventsRequest => ({
  ...ListEventsRequest.create(),
  namespace: 'default',
  function: 'f',
  pageSize: 100,
  ...more,
});

async function checkLinks(view: View): Promise<void> {
  assert.equal((await view.events.getEvent(OLD))?.redrivenTo, NEW);
  assert.deepEqual([(await view.events.getEvent(NEW))?.redrivenFrom, (await view.events.getEvent(NEW))?.redrivenTo], [OLD, undefined]);
  assert.equal((await view.events.getEvent(OTHER))?.redrivenTo, undefined);
  const lists = [
    ...[Order.DESC, Order.ASC].flatMap((order) =>
      [OrderBy.START_TIME, OrderBy.END_TIME].map((orderBy) => listEvents(view, query({ order, orderBy }))),
    ),
    listEvents(view, query({ states: [State.FAILED, State.SUCCEEDED] })),
    listEventsByOffset(view, { query: query(), offset: 0, eventId: '' }),
  ];
  for (const { events } of await Promise.all(lists)) {
    assert.deepEqual(new Map(events.map(({ id, redrivenTo }) => [id, redrivenTo])), new Map([[OLD, NEW], [NEW, undefined], [OTHER, undefined]])); // prettier-ignore
    assert.equal(events.find(({ id }) => id === OLD)?.state, State.FAILED);
  }
}

describe('an event whose dead letter was redriven', () => {
  const { db, openView } = eachOnAnEmptySchema();

  it('names the new one, and the new one names it, in every read', async () => {
    const view = await openView();
    await view.fold(0, [...old, ...other]);
    await view.fold(old.length + other.length, made);
    await checkLinks(view);
  });

  it('does so too when all of it is one fold, or the new one is folded first, as when the view is made again', async () => {
    const view = await openView();
    await view.fold(0, made, 1);
    await view.fold(0, [...old, ...other], 0);
    await checkLinks(view);
  });

  it('keeps the link where the record of the redrive comes twice', async () => {
    const view = await openView();
    const [accepted] = made;
    assert.ok(accepted);
    await view.fold(0, [...old, ...other, accepted, accepted, ...made.slice(1), accepted]);
    await checkLinks(view);
  });

  it('is forgotten with the retention, the link too', async () => {
    const view = await openView();
    await view.fold(0, [...old, ...made]);
    await view.partitions.forgetBefore(NOW - RETENTION);
    assert.equal((await db.sql`SELECT FROM events.redriven`).length, 1);
    await view.partitions.forgetBefore(NOW + HOUR);
    assert.equal((await db.sql`SELECT FROM events.redriven`).length, 0);
  });
});
