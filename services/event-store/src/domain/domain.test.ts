import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { Delivery_State as Delivery, Event_State as State } from '@evenfall/contracts/v1/event';
import { ListEventsRequest } from '@evenfall/contracts/v1/event_service';
import { historyOf, idOf } from '../testing/history.ts';
import { createApplied } from './applied.ts';
import { fold, idsToLoad, type OpenEventRow } from './fold.ts';
import { readPageToken, writePageToken } from './page-token.ts';

const AT = Date.UTC(2026, 0, 1);
const ID = idOf(1, AT);
const batch = (records: readonly EventRecord[], firstOffset = 0, partition = 0) => ({ partition, firstOffset, records });
const nothing = () => undefined;
const no = () => false;
const anyOwner = () => undefined;
const ownedBy = (owner: string) => () => ({ endOffset: 0, owner });

describe('the fold', () => {
  it('makes one change of all records of one event, and one move of all batches of one partition', () => {
    const records = historyOf(ID, { atMs: AT });
    const changes = fold([batch(records.slice(0, 1), 7), batch(records.slice(1), 8), batch([], 3, 1)], nothing, no, anyOwner, nothing);
    assert.deepEqual(changes.moves, [
      { partition: 0, from: 7, to: 10, owner: '', ownerLogMs: undefined },
      { partition: 1, from: 3, to: 3, owner: '', ownerLogMs: undefined },
    ]);
    assert.deepEqual([changes.open.length, changes.closed], [0, []], 'it began and ended within one fold, and has no row to delete');
    assert.deepEqual(
      changes.ended.map(({ id, state }) => [id, state]),
      [[ID, State.SUCCEEDED]],
    );
    assert.deepEqual([...changes.touched.keys()], [ID]);
  });

  it('takes the open row away of one that had one', () => {
    const records = historyOf(ID, { atMs: AT });
    const [first] = fold([batch(records.slice(0, 1))], nothing, no, anyOwner, nothing).open as [OpenEventRow];
    const known = (): OpenEventRow => ({ ...first, persisted: true });
    const { ended, closed } = fold([batch(records.slice(1), 1)], known, no, anyOwner, nothing);
    assert.deepEqual([ended.length, closed], [1, [ID]]);
  });

  it('moves on over records that change nothing', () => {
    const [, begun, concluded] = historyOf(ID, { atMs: AT });
    const changes = fold([batch([begun as EventRecord, concluded as EventRecord])], nothing, no, anyOwner, nothing);
    assert.deepEqual([changes.moves[0]?.to, changes.open, changes.ended, changes.touched.size], [2, [], [], 0]);
    const [again] = historyOf(ID, { atMs: AT, keyed: true });
    assert.equal(fold([batch([again as EventRecord])], nothing, () => true, anyOwner, nothing).touched.size, 0, 'it has ended already');
  });

  it('applies only records of the owner of the partition, from the record on that made it the owner', () => {
    const [accepted, ...late] = historyOf(ID, { atMs: AT }) as [EventRecord, ...EventRecord[]];
    const takeover = { ...accepted, eventId: '', writerId: 'new', change: { $case: 'ownerChanged', value: {} } } as const;
    const byOthers = late.map((record) => ({ ...record, writerId: 'old' }));
    const changes = fold([batch([takeover, accepted, ...byOthers])], nothing, no, ownedBy('old'), nothing);
    assert.deepEqual(changes.moves, [{ partition: 0, from: 0, to: 4, owner: 'new', ownerLogMs: undefined }]);
    assert.deepEqual([changes.ended.length, changes.open[0]?.folded.event?.state], [0, State.QUEUED], 'any replica may accept');
    const byOwner = late.map((record) => ({ ...record, writerId: 'new' }));
    assert.equal(fold([batch([accepted, ...byOwner])], nothing, no, ownedBy('new'), nothing).ended.length, 1);
    assert.equal(fold([batch([accepted, ...byOthers, takeover])], nothing, no, ownedBy('old'), nothing).ended.length, 1, 'in time');
  });

  it('continues where the log begins, when the log has dropped the records between', () => {
    const records = historyOf(ID, { atMs: AT });
    const changes = fold([batch(records, 500)], nothing, no, () => ({ endOffset: 0, owner: 'w', ownerLogMs: 7 }), nothing);
    assert.deepEqual(changes.moves[0], { partition: 0, from: 0, to: 500 + records.length, owner: 'w', ownerLogMs: 7 });
  });

  it('keeps when the log took what the next owner measures by, whichever way the batches are cut', () => {
    const word = (writerId: string): EventRecord => ({
      ...(historyOf(ID, { atMs: AT })[0] as EventRecord),
      eventId: '',
      writerId,
      change: { $case: 'ownerChanged', value: {} },
    });
    const waits = historyOf(ID, { atMs: AT, until: 'threw', policy: { maxRetries: 1, retryIntervalMs: 60_000 } });
    const records = [word('w'), ...waits, word('next')];
    const times = records.map((_, i) => AT + 1_000 * i + 86_400_000); // of a clock that has nothing to do with the writer's
    for (const each of [true, false]) {
      const batches = each
        ? [{ ...batch(records), appendTimesMs: times }]
        : records.map((record, i) => ({ ...batch([record], i), appendTimesMs: times[i] ?? 0 }));
      const { moves, open } = fold(batches, nothing, no, ownedBy('old'), nothing);
      assert.deepEqual([moves[0]?.owner, moves[0]?.ownerLogMs], ['next', times.at(-1)]);
      const { acceptLogTime, waitLogTime, waitMs } = open[0]?.folded ?? {};
      assert.deepEqual([acceptLogTime?.getTime(), waitLogTime?.getTime(), waitMs], [times[1], times[3], 60_000]);
    }
    const byWriters = fold([{ ...batch(records), appendTimesMs: times, byWriterClock: true }], nothing, no, ownedBy('old'), nothing);
    const folded = byWriters.open[0]?.folded;
    assert.deepEqual([byWriters.moves[0]?.ownerLogMs, folded?.acceptLogTime, folded?.waitLogTime], [undefined, undefined, undefined]);
  });

  it('keeps a pending delivery from the end of the event to the last record of it', () => {
    const policy = { onSuccess: { target: { $case: 'topic', value: { name: 'done' } } } } as const;
    const deliveries = [Delivery.PENDING, Delivery.DELIVERED];
    const records = historyOf(ID, { atMs: AT, policy, deliveries, payload: '[7]' });
    const all = fold([batch(records)], nothing, no, anyOwner, nothing);
    assert.deepEqual(
      [all.ended.length, all.pendingDeliveries, all.settled, all.amended],
      [1, [], [], []],
      'delivered at once, it never had a row',
    );
    assert.equal(all.ended[0]?.deliveries[0]?.state, Delivery.DELIVERED);
    const ended = fold([batch(records.slice(0, 3))], nothing, no, anyOwner, nothing);
    const [pending] = ended.pendingDeliveries;
    assert.deepEqual([pending?.partition, pending?.folded.payload.toString(), ended.ended.length], [0, '[7]', 1]);
    const tried = fold([batch(records.slice(3, 4), 3)], nothing, no, anyOwner, () => pending?.folded);
    assert.deepEqual([tried.pendingDeliveries.length, tried.settled, tried.ended, tried.closed], [1, [], [], []]);
    assert.equal(tried.amended[0]?.deliveries[0]?.lastError, 'failed 1');
    const delivered = fold([batch(records.slice(4), 4)], nothing, no, anyOwner, () => tried.pendingDeliveries[0]?.folded);
    assert.deepEqual(
      [delivered.pendingDeliveries, delivered.settled, delivered.ended.length, delivered.amended[0]?.deliveries[0]?.attemptCount],
      [[], [ID], 0, 2],
    );
    const late = fold([batch(records.slice(4), 5)], nothing, no, anyOwner, nothing);
    assert.deepEqual([late.touched.size, late.settled], [0, []], 'no delivery is pending any more');
    assert.deepEqual(
      idsToLoad([batch(records.slice(3))], () => false),
      { ids: [], keyed: [], pendingDeliveries: [ID] },
    );
  });

  it('asks for the rows it does not know, and whether keyed ones have ended', () => {
    const fresh = historyOf(idOf(2, AT), { atMs: AT });
    const [keyed] = historyOf(idOf(3, AT), { atMs: AT, keyed: true });
    const late = historyOf(idOf(4, AT), { atMs: AT }).slice(1);
    const held = historyOf(idOf(5, AT), { atMs: AT }).slice(1);
    const wanted = idsToLoad([batch([...fresh, keyed as EventRecord, ...late, ...held])], (id) => id === idOf(5, AT));
    assert.deepEqual(wanted, { ids: [idOf(3, AT), idOf(4, AT)], keyed: [idOf(3, AT)], pendingDeliveries: [] });
    const [accepted] = historyOf(idOf(6, AT), { atMs: AT });
    const delayed = { ...batch([accepted as EventRecord]), appendTimesMs: [AT + 12_000] };
    assert.deepEqual(idsToLoad([delayed], () => false).keyed, [idOf(6, AT)], 'the log took it long after it was made');
  });
});

describe('a page token', () => {
  const query = (more: Partial<ListEventsRequest> = {}) => ({
    ...ListEventsRequest.create(),
    namespace: 'default',
    function: 'f',
    ...more,
  });
  const read = (pageToken: string, more: Partial<ListEventsRequest> = {}) => readPageToken(query({ pageToken, ...more }), pageToken);

  it('is read as it was written, for pages of any size', () => {
    for (const timeMs of [AT, 0, null]) {
      const token = writePageToken(query(), { timeMs, id: ID });
      assert.deepEqual(read(token), { timeMs, id: ID });
      assert.deepEqual(read(token, { pageSize: 50 }), { timeMs, id: ID });
      assert.match(token, /^[\w-]+$/, 'it needs no escaping in a URL');
    }
  });

  it('is good for its own filter only', () => {
    const token = writePageToken(query(), { timeMs: AT, id: ID });
    for (const other of [
      { function: 'g' },
      { states: [State.FAILED] },
      { order: 2 as const },
      { orderBy: 2 as const },
      { trigger: 't' },
      { startTimeAfter: new Date(AT) },
    ])
      assert.equal(read(token, other), undefined, JSON.stringify(other));
  });

  it('is none if it was changed into something that is not a place', () => {
    const [hash] = JSON.parse(Buffer.from(writePageToken(query(), { timeMs: AT, id: ID }), 'base64url').toString()) as [string];
    const forged = [
      [hash, -1, ID],
      [hash, 8.64e15, ID],
      [hash, 0.5, ID],
      [hash, '0', ID],
      [hash, AT, 'x'],
      [hash, AT],
      ['', AT, ID],
      { hash },
      null,
      7,
    ];
    for (const value of forged)
      assert.equal(read(Buffer.from(JSON.stringify(value)).toString('base64url')), undefined, JSON.stringify(value));
    for (const text of ['x', '', '%%%', 'é', Buffer.from('{').toString('base64url')]) assert.equal(read(text), undefined, text);
  });
});

describe('what has been applied', () => {
  it('wakes those that wait for all of it, and not earlier', async () => {
    const applied = createApplied();
    let woken = false;
    const waiting = applied.reached(new Map([[0, 5], [1, 2]]), 5_000).then((reached) => (woken = reached)); // prettier-ignore
    applied.moved(new Map([[0, 9]]));
    applied.moved(new Map([[1, 1]]));
    await Promise.resolve();
    assert.equal(woken, false);
    applied.moved(new Map([[1, 2]]));
    applied.moved(new Map([[1, 1]]));
    assert.equal(await waiting, true);
    assert.equal(await applied.reached(new Map([[0, 9], [1, 2]]), 0), true, 'ends never fall'); // prettier-ignore
    assert.equal(await applied.reached(new Map([[0, 10]]), 1), false);
  });
});
