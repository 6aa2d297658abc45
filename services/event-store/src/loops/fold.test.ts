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
  const ports = { onOwned: nothing, onStartOver: nothing, onFolded: nothing, isAwaited: () => false };
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
