import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { Event_State as State } from '@evenfall/contracts/v1/event';
import type { EventLog } from '@evenfall/event-log';
import { evolve } from '@evenfall/event-model';
import { silentLog } from '@evenfall/telemetry';
import { fakeClock } from '@evenfall/time';
import { createDestinations } from '../domain/destinations.ts';
import { createLaneWindow } from '../domain/lanes.ts';
import { isActive, NEXT_MODES, type PartitionMode } from '../domain/partition-mode.ts';
import { recordOf } from '../domain/record.ts';
import { waitingOfNew } from '../domain/waiting.ts';
import type { QueuePorts } from '../ports.ts';
import { acceptedOf } from '../testing/rig.ts';
import { admitAccepted } from './admit-events.ts';
import { createFlushSchedule } from './flush-schedule.ts';
import { createPartitionOwner } from './partition-owner.ts';
import { createSchedulerStream } from './scheduler-stream.ts';
import { createWake } from './wake.ts';

/** A partition whose log takes a record when the test says so. */
function start() {
  const records: EventRecord[] = [];
  const appends: { readonly succeed: () => void; readonly fail: () => void }[] = [];
  const eventLog = {
    partitionCount: 1,
    append: (_partition: number, added: readonly EventRecord[]) =>
      new Promise<number>((resolve, reject) => {
        appends.push({
          succeed() {
            records.push(...added);
            resolve(records.length);
          },
          fail: () => reject(new Error('the log is away')),
        });
      }),
  } as unknown as EventLog; // the owner appends and does nothing else with it
  const clock = fakeClock();
  const queue = { eventLog, clock, log: silentLog, random: () => 0, replicaId: 'r' } as unknown as QueuePorts; // nor does it ask the view
  const counters = { accepted_total: 0, taken_over: 0, ended_total: 0, append_failures_total: 0, records_replaced_total: 0 };
  const laneWindow = createLaneWindow();
  const shared = {
    queue,
    stream: createSchedulerStream(),
    laneWindow,
    destinations: createDestinations(),
    deliveryWake: createWake(),
    schedule: createFlushSchedule(queue),
    counters,
  };
  return { owner: createPartitionOwner(shared, 0), queue, clock, records, appends, counters, laneWindow, shared };
}

type Rig = ReturnType<typeof start>;

/** Lets promises go on that were settled. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Takes the partition over. */
async function own({ owner, appends }: Rig): Promise<void> {
  const announced = owner.announce();
  appends.shift()?.succeed();
  await announced;
  owner.activate();
}

/** Longer than any event may wait. */
const AGE_MS = 24 * 3_600_000;

let count = 0;
function admit({ owner, queue, counters }: Rig): string {
  const id = `event-${++count}`;
  const folded = evolve(undefined, recordOf(id, 0, { $case: 'accepted', value: acceptedOf({}) }, queue.clock.now(), 'w'));
  assert.ok(folded);
  const queued = owner.events.admit(folded, waitingOfNew(folded, queue.clock), false);
  assert.ok(queued);
  counters.accepted_total++;
  owner.events.settle(queued);
  return id;
}

const ACTIONS = [
  'announce',
  'append',
  'failAppend',
  'activate',
  'confirm',
  'confirmOld',
  'release',
  'admit',
  'dispatch',
  'expire',
  'read',
] as const;
type Action = (typeof ACTIONS)[number];

/** Does something to the owner, and answers the mode that must follow. Throws what the owner throws. */
async function act(rig: Rig, action: Action): Promise<PartitionMode> {
  const { owner, appends, clock, laneWindow } = rig;
  const { mode } = owner;
  switch (action) {
    case 'announce': {
      const announced = owner.announce();
      if (mode !== 'NOT_OWNED') await announced; // rejects
      announced.catch(() => undefined);
      return 'ANNOUNCING';
    }
    case 'append':
    case 'failAppend': {
      // The newest is the one that counts; older ones were of announcements that were released meanwhile.
      const isNewest = appends.length === 1;
      const append = appends.shift();
      append?.[action === 'append' ? 'succeed' : 'fail']();
      await settled();
      if (!append || mode !== 'ANNOUNCING' || !isNewest) return mode;
      return action === 'append' ? 'RECOVERING' : 'NOT_OWNED';
    }
    case 'activate':
      owner.activate();
      return 'UNCONFIRMED';
    case 'confirm':
    case 'confirmOld':
      owner.confirm((owner.tenure?.epoch ?? 0) - (action === 'confirm' ? 0 : 1));
      return action === 'confirm' && mode === 'UNCONFIRMED' ? 'CONFIRMED' : mode;
    case 'release':
      owner.release();
      return 'NOT_OWNED';
    case 'admit':
      if (owner.tenure) admit(rig);
      return mode;
    case 'dispatch':
      for (const queued of laneWindow.dequeue(clock.monotonic())) queued.dispatched = 1;
      return mode;
    case 'read':
      owner.writer?.readUpTo(rig.records.length);
      return mode;
    case 'expire':
      clock.advance(AGE_MS);
      for (const queued of owner.events.book.values()) {
        const refusal = owner.command(queued, 0, { kind: 'EXPIRE' });
        assert.equal(refusal, undefined);
      }
      return mode;
  }
}

/** Whether the table lets an action change the mode as it does. */
function isAllowed(mode: PartitionMode, action: Action): boolean {
  if (action === 'announce') return NEXT_MODES[mode].includes('ANNOUNCING');
  return action !== 'activate' || NEXT_MODES[mode].includes('UNCONFIRMED');
}

function check({ owner, counters, laneWindow, shared }: Rig): void {
  const { mode, tenure, writer, events } = owner;
  const hasTenure = mode === 'RECOVERING' || isActive(mode);
  assert.deepEqual([owner.isActive, tenure !== undefined, writer !== undefined], [isActive(mode), hasTenure, hasTenure], mode);
  assert.equal(counters.accepted_total - counters.ended_total - counters.taken_over, events.book.size, 'what is open is in the book');
  if (!hasTenure) assert.deepEqual([events.book.size, [...events.lanes.all()], laneWindow.inUse], [0, [], 0], 'nothing is left of it');
  if (!hasTenure) assert.deepEqual(shared.schedule.totals, { records: 0, urgent: 0 }, 'nothing of it waits to be written');
}

describe('the owner of a partition', () => {
  it('goes only where its table of modes lets it, and holds something only in a tenure, whatever happens', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...ACTIONS), { maxLength: 60 }), async (actions) => {
        const rig = start();
        const { owner, counters } = rig;
        let epoch = -1;
        for (const action of actions) {
          const before = owner.mode;
          const held = action === 'release' ? owner.events.book.size : 0;
          if (isAllowed(before, action)) assert.equal(await act(rig, action), owner.mode, `${before}, ${action}`);
          else {
            await assert.rejects(act(rig, action), /cannot go from/);
            assert.equal(owner.mode, before);
          }
          if (owner.mode !== before) assert.ok(NEXT_MODES[before].includes(owner.mode), `${before} to ${owner.mode}`);
          counters.taken_over += held;
          if (before !== 'RECOVERING' && owner.mode === 'RECOVERING') {
            assert.ok(owner.tenure && owner.tenure.epoch > epoch, 'epochs rise');
            ({ epoch } = owner.tenure);
          }
          check(rig);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('begins no tenure with an announcement that is written after the partition was lost', async () => {
    const { owner, appends } = start();
    const late = owner.announce();
    owner.release();
    const again = owner.announce();
    appends[0]?.succeed();
    assert.equal(await late, 1);
    assert.deepEqual([owner.mode, owner.tenure], ['ANNOUNCING', undefined]);
    appends[1]?.succeed();
    await again;
    assert.equal(owner.tenure?.epoch, 1);
  });

  it('reports nothing of a tenure that is over, though its append succeeds', async () => {
    const rig = start();
    const { owner, appends, counters, records } = rig;
    await own(rig);
    admit(rig);
    await act(rig, 'expire');
    await settled();
    assert.equal(appends.length, 1);
    owner.release();
    appends.shift()?.succeed();
    await settled();
    assert.deepEqual([records.at(-1)?.change?.$case, counters.ended_total], ['endedUnstarted', 0], 'the next owner will know');
    await own(rig);
    owner.writer?.readUpTo(records.length);
    assert.equal(counters.ended_total, 0);
  });

  it('writes nothing more once its tenure is over, of what waits and of what failed', async () => {
    const rig = start();
    const { owner, appends } = rig;
    await own(rig);
    admit(rig);
    await act(rig, 'expire');
    await settled();
    const id = admit(rig);
    await act(rig, 'expire');
    assert.equal(owner.events.book.get(id)?.folded.event?.state, State.EXPIRED);
    assert.deepEqual(rig.shared.schedule.totals, { records: 1, urgent: 1 }, 'it waits for the append before it');
    owner.release();
    assert.deepEqual(rig.shared.schedule.totals, { records: 0, urgent: 0 });
    appends.shift()?.fail();
    await settled();
    assert.equal(appends.length, 0);
  });

  it('ends an event once its end is committed and read back, and refuses commands without a tenure', async () => {
    const rig = start();
    const { owner, appends, clock, counters, records } = rig;
    await own(rig);
    const id = admit(rig);
    const queued = owner.events.book.get(id);
    assert.ok(queued);
    clock.advance(AGE_MS);
    owner.command(queued, 0, { kind: 'EXPIRE' });
    assert.equal(queued.folded.event?.state, State.EXPIRED, 'it applies what it decides at once');
    await settled();
    appends.shift()?.succeed();
    await settled();
    assert.equal(counters.ended_total, 0, 'another owner may have come before it');
    owner.writer?.readUpTo(records.length);
    assert.deepEqual([counters.ended_total, owner.events.book.size], [1, 0]);
    owner.release();
    assert.equal(owner.command(queued, 0, { kind: 'EXPIRE' })?.reason, 'EVENT_NOT_HELD');
  });

  it('admits an Accepted record once, however often it is in the log', async () => {
    const rig = start();
    await own(rig);
    const { owner, queue, counters } = rig;
    const id = '01990000-0000-7000-8000-000000000001';
    const accepted = recordOf(id, 0, { $case: 'accepted', value: acceptedOf({}) }, Number.parseInt('019900000000', 16), 'w');
    for (let offset = 0; offset < 3; offset++) void admitAccepted({ queue, counters }, owner, accepted, offset, undefined);
    assert.deepEqual([counters.accepted_total, owner.events.book.size], [1, 1]);
  });
});
