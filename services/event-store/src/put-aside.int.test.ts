import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { Event_State as State } from '@evenfall/contracts/v1/event';
import { ListEventsRequest, ListEventsResponse } from '@evenfall/contracts/v1/event_service';
import { listDeadLetters } from './flows/dead-letters.ts';
import { listEvents } from './flows/list-events.ts';
import { createDeadLetterTable } from './adapters/postgres/dead-letter-table.ts';
import { historyOf, idOf } from './testing/history.ts';
import { eachOnAnEmptySchema, RETENTION } from './testing/view.ts';

/** The default message limit of gRPC clients. */
const FOUR_MIB = 4 * 1024 * 1024;

/** The records of an event whose attempt ended with so many bytes, as a log of before may hold them. */
function largeHistory(id: string, bytes: { result?: number; error?: number }, until: 'returned' | 'threw' = 'returned'): EventRecord[] {
  return historyOf(id, { atMs: Date.now(), until }).map((record) => {
    if (record.change?.$case !== 'attemptEnded' || !record.change.value.attemptResult) return record;
    const ended = {
      ...record.change.value.attemptResult,
      result: bytes.result === undefined ? record.change.value.attemptResult.result : Buffer.from(`"${'r'.repeat(bytes.result)}"`),
      error: bytes.error === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify({ errorMessage: 'x'.repeat(bytes.error) })),
    };
    return { ...record, change: { $case: 'attemptEnded', value: { ...record.change.value, attemptResult: ended } } };
  });
}

/** The same event, with a name Postgres has no text for. */
function unstorable(id: string): EventRecord[] {
  return historyOf(id, { atMs: Date.now(), fn: 'a\u0000b' });
}

describe('records that cannot be folded', () => {
  const { db, openView } = eachOnAnEmptySchema();
  const id = (n: number): string => idOf(n, Date.now());

  it('are put aside, one by one, and the rest is folded, also in another partition', async () => {
    const view = await openView();
    const [good, bad, last] = [id(1), id(2), id(3)];
    const records = [...historyOf(good, { atMs: Date.now() }), ...unstorable(bad), ...historyOf(last, { atMs: Date.now() })];
    const batches = [
      { partition: 0, firstOffset: 0, records },
      { partition: 1, firstOffset: 0, records: historyOf(id(4), { atMs: Date.now() }) },
    ];
    await assert.rejects(Promise.resolve(view.apply(batches))); // read again from where the view is, with care
    await view.own();
    await view.apply(batches);
    for (const each of [good, last, id(4)].slice(0, 2)) assert.equal((await view.events.getEvent(each))?.state, State.SUCCEEDED);
    assert.deepEqual([...(await view.events.applied())], [[0, records.length], [1, 3]]); // prettier-ignore
    const aside = await view.aside.newest(undefined, 10);
    assert.deepEqual(
      aside.map(({ partition, eventId, change, isReduced }) => [partition, eventId, change, isReduced]),
      [[0, bad, 'accepted', false]],
    );
    await view.fold(records.length, historyOf(id(5), { atMs: Date.now() }));
    assert.equal(await view.aside.count(), 1);
  });

  it('are put aside when they cannot be decoded, and when they name no event', async () => {
    const view = await openView();
    const nothing: EventRecord = { eventId: '', attempt: 0, time: undefined, writerId: '', change: undefined };
    const nameless = historyOf('no uuid', { atMs: Date.now(), until: 'accepted' });
    const good = id(1);
    const unreadable = [{ offset: 0, bytes: Buffer.from('?'), error: 'RangeError: index out of range' }];
    const batches = [
      { partition: 0, firstOffset: 0, records: [nothing, ...nameless, ...historyOf(good, { atMs: Date.now() })], unreadable },
    ];
    await Promise.resolve(view.apply(batches)).catch(async () => {
      await view.own();
      await view.apply(batches);
    });
    assert.equal((await view.events.getEvent(good))?.state, State.SUCCEEDED);
    assert.deepEqual((await view.aside.newest(undefined, 10)).map(({ offset, eventId }) => [offset, eventId]).sort(), [[0, ''], [1, 'no uuid']]); // prettier-ignore
  });

  it('do not stop those of a log of before: an error of 40 MB, nine attempts of 13 MB', async () => {
    const view = await openView();
    const [one, nine] = [id(1), id(2)];
    const attempts = historyOf(nine, { atMs: Date.now(), until: 'accepted', policy: { maxRetries: 8 } });
    for (let attempt = 1; attempt <= 9; attempt++) {
      const [, , concluded] = largeHistory(nine, { error: 13_000_000 }, 'threw');
      if (concluded?.change?.$case !== 'attemptEnded') throw new Error('the history of an attempt is started, then concluded');
      const state = attempt === 9 ? State.FAILED : State.QUEUED;
      attempts.push({ ...concluded, attempt, change: { $case: 'attemptEnded', value: { ...concluded.change.value, state } } });
    }
    const records = [...largeHistory(one, { error: 40_000_000 }, 'threw'), ...attempts];
    await view.apply([{ partition: 0, firstOffset: 0, records }]);
    for (const each of [one, nine]) {
      const event = await view.events.getEvent(each);
      assert.equal(event?.state, State.FAILED);
      assert.ok((event?.error.length ?? 0) < 65_536);
    }
    assert.equal((await view.events.getEvent(nine))?.attempts.length, 9);
    assert.equal(await view.aside.count(), 0);
  });

  it('pages of what is large are shorter, hold every event once, and fit what a gRPC client takes', async () => {
    const view = await openView();
    const ids = Array.from({ length: 30 }, (_, i) => id(i + 1));
    const records = ids.flatMap((each) => largeHistory(each, { result: 250_000 }));
    await view.apply([{ partition: 0, firstOffset: 0, records }]);
    const barrier = { caughtUp: async () => undefined } as unknown as typeof view.barrier; // everything is folded
    const found: string[] = [];
    let pages = 0;
    for (let pageToken = ''; pages === 0 || pageToken !== ''; pages++) {
      const query = ListEventsRequest.create({ namespace: 'default', function: 'f', pageSize: 20, pageToken });
      const response = await listEvents({ events: view.events, barrier }, query);
      assert.ok(ListEventsResponse.encode(response).finish().length < FOUR_MIB);
      found.push(...response.events.map((event) => event.id));
      pageToken = response.nextPageToken;
    }
    assert.deepEqual([...found].sort(), [...ids].sort());
    assert.ok(pages >= 3);
  });

  it('pages of dead letters too', async () => {
    const view = await openView();
    const ids = Array.from({ length: 40 }, (_, i) => id(i + 1));
    const records = ids.flatMap((each) => historyOf(each, { atMs: Date.now(), until: 'threw', payload: `"${'p'.repeat(130_000)}"` }));
    await view.apply([{ partition: 0, firstOffset: 0, records }]);
    const barrier = { caughtUp: async () => undefined } as unknown as typeof view.barrier; // everything is folded
    const ports = { deadLetters: createDeadLetterTable(db.sql, RETENTION), barrier };
    const found: (string | undefined)[] = [];
    let pages = 0;
    for (let pageToken = ''; pages === 0 || pageToken !== ''; pages++) {
      const response = await listDeadLetters(ports, { namespace: 'default', function: 'f', pageSize: 100, pageToken });
      assert.ok(response.deadLetters.reduce((sum, { payload }) => sum + payload.length, 0) < FOUR_MIB);
      found.push(...response.deadLetters.map(({ event }) => event?.id));
      pageToken = response.nextPageToken;
    }
    assert.deepEqual([...found].sort(), [...ids].sort());
  });

  it('a snapshot comes in parts that fit a message', async () => {
    const view = await openView();
    const payload = `"${'p'.repeat(1_000_000)}"`;
    const records = Array.from({ length: 20 }, (_, i) => historyOf(id(i + 1), { atMs: Date.now(), until: 'accepted', payload })).flat();
    await view.apply([{ partition: 0, firstOffset: 0, records }]);
    let events = 0;
    for await (const part of view.events.snapshot([0])) {
      assert.ok(part.events.reduce((sum, { folded }) => sum + (folded?.payload.length ?? 0), 0) <= FOUR_MIB);
      events += part.events.length;
    }
    assert.equal(events, 20);
  });
});
