import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Event_State as State } from '@evenfall/contracts/v1/event';
import type { EventLog, LogBatch, Subscriber } from '@evenfall/event-log';
import { eventually } from '@evenfall/testkit';
import type { FoldChanges } from '../domain/fold.ts';
import type { EventTable, Partitions, PutAsideTable } from '../ports.ts';
import { historyOf, idOf } from '../testing/history.ts';
import { startFold } from './fold.ts';

it('folds nothing past accepts that were held and could not be written, until they have been read again', async () => {
  let subscriber: Subscriber | undefined;
  let isAway = true;
  let again = 0;
  const written: number[] = [];
  const subscription = {
    applied: () => undefined,
    isOwner: () => true,
    again: () => {
      again++;
    },
    stop: async () => undefined,
  };
  const log = { subscribe: (given: Subscriber) => ((subscriber = given), subscription) } as unknown as EventLog; // a fold asks no more of it
  const events = {
    positions: async () => [{ partition: 0, endOffset: 0, owner: '' }],
    async writeFold({ moves }: { moves: readonly { to: number }[] }) {
      if (isAway) throw new Error('away');
      written.push(...moves.map(({ to }) => to));
      return true;
    },
  } as unknown as EventTable; // nor of these
  const partitions = { ensure: async () => undefined } as unknown as Partitions;
  const nothing = (): void => undefined;
  const ports = {
    aside: {} as PutAsideTable, // nothing is refused
    onPutAside: nothing,
    onTrouble: nothing,
    onOwned: nothing,
    onAudited: nothing,
    notifiesAhead: false,
    onStartOver: nothing,
    onFolding: nothing,
    onNotFolded: nothing,
    onFolded: nothing,
    isAwaited: () => false,
  };
  const folding = startFold({ log, events, partitions, ...ports, retainedSinceMs: () => ({ eventsMs: 0, deadLettersMs: 0 }) });
  const accept = (n: number) => ({
    partition: 0,
    firstOffset: n,
    records: historyOf(idOf(n, Date.now()), { atMs: Date.now(), until: 'accepted' }),
  });
  await subscriber?.owned([0]);
  await subscriber?.apply([accept(0)]); // held
  folding.hurry();
  await eventually(() => again > 0);
  isAway = false;
  await assert.rejects(subscriber?.apply([accept(1)]) ?? Promise.resolve(), /could not be folded/);
  assert.deepEqual(written, []);
  await subscriber?.owned([0]);
  await subscriber?.apply([accept(0), accept(1)]);
  folding.hurry();
  await eventually(() => written.length > 0);
  assert.deepEqual(written, [2]);
  await folding.stop();
});

/** A fold that notifies ahead, with a log and tables that the test controls. */
function foldThatNotifiesAhead(isAwaited: boolean) {
  let subscriber: Subscriber | undefined;
  const order: string[] = [];
  const subscription = { applied: () => undefined, isOwner: () => true, again: () => undefined, stop: async () => undefined };
  const log = { subscribe: (given: Subscriber) => ((subscriber = given), subscription) } as unknown as EventLog; // a fold asks no more of it
  const writes: ((isWritten: boolean) => void)[] = [];
  const events = {
    positions: async () => [{ partition: 0, endOffset: 0, owner: '' }],
    writeFold: ({ ended, open }: FoldChanges) => {
      order.push(`writing ${open.length} open, ${ended.length} ended`);
      return new Promise<boolean>((resolve) => void writes.push(resolve));
    },
  } as unknown as EventTable; // nor of these
  const partitions = { ensure: async () => undefined } as unknown as Partitions;
  const folding = startFold({
    log,
    events,
    partitions,
    aside: {} as PutAsideTable, // nothing is refused
    onPutAside: () => undefined,
    onTrouble: () => undefined,
    onOwned: () => undefined,
    onAudited: () => undefined,
    onStartOver: () => undefined,
    notifiesAhead: true,
    onFolding: (touched) => void order.push(...[...touched.values()].map(({ event }) => `notified ${event?.state}`)),
    onNotFolded: () => void order.push('not written'),
    onFolded: () => void order.push('written'),
    isAwaited: () => isAwaited,
    retainedSinceMs: () => ({ eventsMs: 0, deadLettersMs: 0 }),
  });
  return {
    folding,
    order,
    own: async () => subscriber?.owned([0]),
    apply: (batch: LogBatch): Promise<void> => Promise.resolve(subscriber?.apply([batch])),
    lose: () => subscriber?.lost([0]),
    /** Lets the next write end. */
    async end(isWritten: boolean): Promise<void> {
      await eventually(() => writes.length > 0);
      writes.shift()?.(isWritten);
    },
  };
}

it('notifies watchers before it writes, and makes readers wait for the write', async () => {
  const { folding, order, own, apply, end } = foldThatNotifiesAhead(true);
  const id = idOf(1, Date.now());
  const batch = { partition: 0, firstOffset: 0, records: historyOf(id, { atMs: Date.now() }) };
  for (const isWritten of [false, true]) {
    await own();
    const applied = apply(batch);
    await eventually(() => folding.pending(id));
    assert.equal(folding.pending(idOf(2, Date.now())), undefined, 'of others nothing is to be written');
    assert.equal(folding.pending(id)?.upcoming?.event.state, State.SUCCEEDED);
    const read = folding
      .pending(id)
      ?.written()
      .then(() => order.push('read'));
    assert.ok(read);
    await end(isWritten);
    if (isWritten) await applied;
    else await assert.rejects(applied, /Another event-store/);
    await read;
    assert.equal(folding.pending(id), undefined);
  }
  const notified = [`notified ${State.SUCCEEDED}`, 'writing 0 open, 1 ended'];
  assert.deepEqual(order, [...notified, 'not written', 'read', ...notified, 'written', 'read']);
  await folding.stop();
});

it('holds a few ends too where watchers are notified ahead, and writes them in one statement', async () => {
  const { folding, order, own, apply, end } = foldThatNotifiesAhead(false);
  const atMs = Date.now();
  await own();
  for (const n of [1, 2]) {
    const records = historyOf(idOf(n, atMs), { atMs });
    await apply({ partition: 0, firstOffset: (n - 1) * records.length, records });
  }
  await end(true);
  await eventually(() => order.includes('written'));
  assert.deepEqual(order.slice(-2), ['writing 0 open, 2 ended', 'written']);
  await folding.stop();
});

it('writes what it holds at once for a reader, and reports it when that fails', async () => {
  const { folding, order, own, apply, end, lose } = foldThatNotifiesAhead(false);
  const id = idOf(1, Date.now());
  const batch = { partition: 0, firstOffset: 0, records: historyOf(id, { atMs: Date.now() }) };
  await own();
  await apply(batch);
  lose();
  assert.equal(order.pop(), 'not written');
  assert.equal(folding.pending(id), undefined);
  await own();
  await apply(batch);
  const read = folding.pending(id)?.written();
  await end(true);
  await read;
  assert.equal(order.at(-1), 'written');
  await folding.stop();
});
