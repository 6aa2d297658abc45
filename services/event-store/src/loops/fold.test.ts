import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EventLog, Subscriber } from '@evenfall/event-log';
import type { EventTable, Partitions } from '../ports.ts';
import { historyOf, idOf } from '../testing/history.ts';
import { startFold } from './fold.ts';

it('folds nothing past accepts that were held and could not be written, until they have been read again', async () => {
  let subscriber: Subscriber | undefined;
  let isAway = true;
  let again = 0;
  const written: number[] = [];
  const subscription = {
    applied: () => undefined,
    standing: () => true,
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
    onOwned: nothing,
    onStartOver: nothing,
    onFolding: nothing,
    onNotFolded: nothing,
    onFolded: nothing,
    isAwaited: () => false,
  };
  const folding = startFold({ log, events, partitions, ...ports, keptSinceMs: () => ({ eventsMs: 0, deadLettersMs: 0 }) });
  const accept = (n: number) => ({
    partition: 0,
    firstOffset: n,
    records: historyOf(idOf(n, Date.now()), { atMs: Date.now(), until: 'accepted' }),
  });
  await subscriber?.owned([0]);
  await subscriber?.apply([accept(0)]); // held
  folding.hurry();
  for (let i = 0; again === 0 && i < 500; i++) await sleep(2);
  isAway = false;
  await assert.rejects(subscriber?.apply([accept(1)]) ?? Promise.resolve(), /could not be folded/);
  assert.deepEqual(written, []);
  await subscriber?.owned([0]);
  await subscriber?.apply([accept(0), accept(1)]);
  folding.hurry();
  for (let i = 0; written.length === 0 && i < 500; i++) await sleep(2);
  assert.deepEqual(written, [2]);
  await folding.stop();
});

it('tells of what it writes while it writes it, and lets those who read wait for that', async () => {
  let subscriber: Subscriber | undefined;
  const order: string[] = [];
  const subscription = { applied: () => undefined, standing: () => true, again: () => undefined, stop: async () => undefined };
  const log = { subscribe: (given: Subscriber) => ((subscriber = given), subscription) } as unknown as EventLog; // a fold asks no more of it
  const writes: ((isWritten: boolean) => void)[] = [];
  const events = {
    positions: async () => [{ partition: 0, endOffset: 0, owner: '' }],
    writeFold: () => new Promise<boolean>((resolve) => void writes.push(resolve)),
  } as unknown as EventTable; // nor of these
  const partitions = { ensure: async () => undefined } as unknown as Partitions;
  const folding = startFold({
    log,
    events,
    partitions,
    onOwned: () => undefined,
    onStartOver: () => undefined,
    onFolding: (touched) => void order.push(`writing ${touched.size}`),
    onNotFolded: () => void order.push('not written'),
    onFolded: () => void order.push('written'),
    isAwaited: () => true,
    keptSinceMs: () => ({ eventsMs: 0, deadLettersMs: 0 }),
  });
  const id = idOf(1, Date.now());
  const batch = { partition: 0, firstOffset: 0, records: historyOf(id, { atMs: Date.now() }) };
  for (const isWritten of [false, true]) {
    await subscriber?.owned([0]);
    const applied = subscriber?.apply([batch]) ?? Promise.resolve();
    for (let i = 0; writes.length === 0 && i < 500; i++) await sleep(2);
    assert.equal(folding.written(idOf(2, Date.now())), undefined, 'of others nothing is written');
    const read = folding.written(id)?.then(() => order.push('read'));
    assert.ok(read);
    writes.pop()?.(isWritten);
    await read;
    if (isWritten) await applied;
    else await assert.rejects(applied, /Another event-store/);
    assert.equal(folding.written(id), undefined);
  }
  assert.deepEqual(order.slice(0, 4), ['writing 1', 'not written', 'read', 'writing 1']);
  assert.deepEqual(order.slice(4).sort(), ['read', 'written']);
  await folding.stop();
});
