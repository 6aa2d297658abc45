import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createFairWindow, type FairWindow, type Turn, type WindowGroup } from './fair-window.ts';

type Member = Turn & { readonly name: number; readonly group: WindowGroup; readonly items: number[]; limit: number };
type Item = { readonly member: Member; readonly number: number };

const QUANTUM = 3;

function createWindow(groups: readonly WindowGroup[]): FairWindow<Member, Item> {
  return createFairWindow<Member, Item>({
    quantum: QUANTUM,
    groups,
    groupOf: ({ group }) => group,
    limitOf: ({ limit }) => limit,
    isEmpty: ({ items }) => items.length === 0,
    next(member) {
      const number = member.items.shift();
      return number === undefined ? undefined : { member, number };
    },
  });
}

const memberOf = (name: number, group: WindowGroup, limit = Infinity): Member => ({
  name,
  group,
  limit,
  items: [],
  isInRound: false,
  inUse: 0,
  pausedUntilMs: 0,
});

function add(window: FairWindow<Member, Item>, member: Member, first: number, count: number): void {
  for (let number = first; number < first + count; number++) {
    member.items.push(number);
    window.enqueue(member);
  }
}

type Step =
  | { readonly do: 'add'; readonly member: number; readonly count: number }
  | { readonly do: 'dequeue'; readonly waitMs: number }
  | { readonly do: 'release'; readonly which: number }
  | { readonly do: 'pause'; readonly member: number; readonly forMs: number }
  | { readonly do: 'limit'; readonly member: number; readonly limit: number };

const MEMBERS = 6;
const member = fc.nat(MEMBERS - 1);
const steps = fc.array(
  fc.oneof<fc.Arbitrary<Step>[]>(
    fc.record({ do: fc.constant('add' as const), member, count: fc.integer({ min: 1, max: 12 }) }),
    fc.record({ do: fc.constant('dequeue' as const), waitMs: fc.nat(3) }),
    fc.record({ do: fc.constant('release' as const), which: fc.nat(100) }),
    fc.record({ do: fc.constant('pause' as const), member, forMs: fc.nat(5) }),
    fc.record({ do: fc.constant('limit' as const), member, limit: fc.integer({ min: 1, max: 8 }) }),
  ),
  { maxLength: 80 },
);

/** What the window should know, kept in the simplest way. */
function createModel(groups: readonly WindowGroup[], members: readonly Member[]) {
  const used: Item[] = [];
  const expectedNext = members.map(() => 0);
  return {
    used,
    /** Checks items that were dequeued: in order, and within the limits at every moment. */
    checkDequeued(items: readonly Item[]): void {
      for (const item of items) {
        assert.equal(item.number, expectedNext[item.member.name], 'first in, first out');
        expectedNext[item.member.name] = item.number + 1;
        used.push(item);
        assert.ok(used.filter((one) => one.member === item.member).length <= item.member.limit, 'within the limit of the member');
        const { group } = item.member;
        assert.ok(used.filter((one) => one.member.group === group).length <= group.limit, 'within the limit of the group');
      }
    },
    check(): void {
      for (const one of members) assert.equal(one.inUse, used.filter((item) => item.member === one).length);
      for (const group of groups) assert.equal(group.inUse, used.filter((item) => item.member.group === group).length);
    },
    /** Members that could give something and did not. */
    idle: (nowMs: number): Member[] =>
      members.filter(
        ({ items, inUse, limit, group, pausedUntilMs }) =>
          items.length > 0 && inUse < limit && group.inUse < group.limit && pausedUntilMs <= nowMs,
      ),
  };
}

/** No member gets a second turn while another one that could give something waits for its first. */
function checkTurns(items: readonly Item[]): void {
  const dequeued = new Map<Member, number>();
  for (const { member: one } of items) dequeued.set(one, (dequeued.get(one) ?? 0) + 1);
  for (const [one, count] of dequeued)
    for (const other of dequeued.keys()) {
      const before = items.findIndex((item) => item.member === other);
      const early = items.slice(0, before).filter((item) => item.member === one).length;
      assert.ok(early <= QUANTUM, `${one.name} gave ${early} of ${count} before the first of ${other.name}`);
    }
}

describe('a fair window', () => {
  it('keeps order, limits, pauses and turns, and leaves nothing that may go, whatever happens', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 3 }), steps, (limits, script) => {
        const groups = limits.map((limit) => ({ limit, inUse: 0 }));
        const window = createWindow(groups);
        const members = Array.from({ length: MEMBERS }, (_, i) => memberOf(i, groups[i % groups.length] as WindowGroup, 4)); // there is a group
        const added = members.map(() => 0);
        const model = createModel(groups, members);
        let nowMs = 0;
        for (const step of script) {
          switch (step.do) {
            case 'add':
              add(window, members[step.member] as Member, added[step.member] ?? 0, step.count);
              added[step.member] = (added[step.member] ?? 0) + step.count;
              break;
            case 'dequeue': {
              nowMs += step.waitMs;
              const paused = members.filter(({ pausedUntilMs }) => pausedUntilMs > nowMs);
              const items = window.dequeue(nowMs);
              assert.ok(!items.some((item) => paused.includes(item.member)), 'nothing of a member that pauses');
              model.checkDequeued(items);
              assert.deepEqual(model.idle(nowMs), [], 'everything that may go goes');
              break;
            }
            case 'release': {
              const [item] = model.used.splice(step.which % Math.max(1, model.used.length), 1);
              if (item) window.release(item.member);
              break;
            }
            case 'pause':
              (members[step.member] as Member).pausedUntilMs = nowMs + step.forMs;
              break;
            case 'limit':
              // A limit that falls holds back what is not dequeued yet; what is in use stays.
              if (step.limit >= (members[step.member]?.inUse ?? 0)) {
                (members[step.member] as Member).limit = step.limit;
                window.enqueue(members[step.member] as Member);
              }
          }
          model.check();
        }
      }),
      { numRuns: 300 },
    );
  });

  it('takes turns, a quantum each', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { minLength: 2, maxLength: 8 }), fc.integer({ min: 1, max: 100 }), (counts, limit) => {
        const group = { limit, inUse: 0 };
        const window = createWindow([group]);
        const members = counts.map((count, name) => {
          const one = memberOf(name, group);
          add(window, one, 0, count);
          return one;
        });
        // The simplest round: a quantum of each, again and again, as far as the limit goes.
        const expected: string[] = [];
        for (let round = 0; round < 7; round++)
          for (const { name } of members)
            for (let i = round * QUANTUM; i < Math.min((round + 1) * QUANTUM, counts[name] ?? 0); i++) expected.push(`${name}.${i}`);
        const items = window.dequeue(0);
        assert.deepEqual(
          items.map((item) => `${item.member.name}.${item.number}`),
          expected.slice(0, limit),
        );
        checkTurns(items);
      }),
      { numRuns: 300 },
    );
  });

  it('goes on where it was when the group was full: no member is passed over', () => {
    const group = { limit: 4, inUse: 0 };
    const window = createWindow([group]);
    const members = Array.from({ length: 5 }, (_, name) => memberOf(name, group));
    for (const one of members) add(window, one, 0, 10);
    const dequeued = members.map(() => 0);
    for (let i = 0; i < 10; i++)
      for (const item of window.dequeue(0)) {
        dequeued[item.member.name] = (dequeued[item.member.name] ?? 0) + 1;
        window.release(item.member);
      }
    assert.equal(dequeued.reduce((sum, count) => sum + count, 0), 40); // prettier-ignore
    assert.ok(Math.max(...dequeued) - Math.min(...dequeued) <= QUANTUM, dequeued.join(' '));
  });

  it('gives what other groups have while one is full', () => {
    const [full, free] = [{ limit: 1, inUse: 0 }, { limit: 10, inUse: 0 }]; // prettier-ignore
    const window = createWindow([full, free]);
    const [first, second, other] = [memberOf(0, full), memberOf(1, full), memberOf(2, free)];
    for (const one of [first, second, other]) add(window, one, 0, 2);
    assert.deepEqual(window.dequeue(0).map((item) => item.member.name), [0, 2, 2]); // prettier-ignore
    window.release(first);
    assert.deepEqual(window.dequeue(0).map((item) => item.member.name), [1], 'the next one of the group has its turn first'); // prettier-ignore
  });
});
