import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { fakeClock } from '@evenfall/time';
import fc from 'fast-check';
import { createGrantChecker, createGrants, grantedAttempt, grantedInstance, grantedPackage } from './index.ts';

const NOW = 1_790_000_000_000;
const old = randomBytes(32);
const clock = fakeClock();
const fn = { namespace: 'n', name: 'f', version: '1', revision: 1, memoryMb: 128 };
/** Everything that can be given, with one thing changed each. */
const GIVEN = [
  grantedAttempt({ eventId: 'e', attempt: 1, partition: 0 }),
  grantedAttempt({ eventId: 'e', attempt: 2, partition: 0 }),
  grantedAttempt({ eventId: 'e', attempt: 1, partition: 1 }),
  grantedAttempt({ eventId: 'e', attempt: 1 }),
  grantedAttempt({ eventId: 'd', attempt: 1, partition: 0 }),
  grantedInstance('e', fn),
  grantedInstance('e', { ...fn, revision: 2 }),
  grantedPackage('e', 'a'.repeat(64)),
  grantedPackage('e', 'b'.repeat(64)),
  grantedPackage('d', 'a'.repeat(64)),
];
const AGENTS = ['a', 'b'];

const signer = (keys: readonly Buffer[]) => {
  const grants = createGrants();
  grants.use(keys);
  return grants;
};

describe('A checker of grants', () => {
  it('accepts grants that were issued to the agent that shows them, and nothing else', async () => {
    const checker = createGrantChecker({ keys: async () => [old], clock });
    const signing = signer([old]);
    const pick = (max: number) => fc.integer({ min: 0, max: max - 1 });
    await fc.assert(
      fc.asyncProperty(pick(GIVEN.length), pick(2), pick(GIVEN.length), pick(2), fc.option(pick(26 * 8)), async (of, to, as, by, flip) => {
        const [granted, claimed, agent, speaker] = [GIVEN[of], GIVEN[as], AGENTS[to], AGENTS[by]];
        assert.ok(granted && claimed && agent && speaker);
        const grant = signing.sign(granted, agent, NOW).bytes;
        // A name of a key that does not exist would have the keys fetched, once a second: the next test.
        if (flip !== null && flip >= 32) grant.writeUInt8((grant[flip >> 3] ?? 0) ^ (1 << (flip & 7)), flip >> 3);
        const [isGood] = await checker.check(speaker, [{ granted: claimed, grant }]);
        assert.equal(isGood, of === as && to === by && (flip === null || flip < 32));
      }),
      { numRuns: 2_000 },
    );
  });

  it('asks for keys when one is named that is not known, for all that wait at once, and once a second at most', async () => {
    const next = randomBytes(32);
    let keys = [old];
    let asked = 0;
    const pauses: number[] = [];
    const clock = fakeClock();
    const checker = createGrantChecker({
      keys: async () => (asked++, keys),
      clock,
      async pause(ms) {
        pauses.push(ms);
        clock.advance(ms);
      },
    });
    const [granted] = GIVEN;
    assert.ok(granted);
    const byOld = { granted, grant: signer([old]).sign(granted, 'a', NOW).bytes };
    const byNext = { granted, grant: signer([next]).sign(granted, 'a', NOW).bytes };
    assert.deepEqual(await checker.check('a', [byOld, byOld]), [true, true]);
    for (let i = 0; i < 100; i++) assert.deepEqual(await checker.check('a', [byOld]), [true]);
    assert.equal(asked, 1);
    const made = Array.from({ length: 100 }, () => checker.check('a', [{ granted, grant: randomBytes(26) }]));
    keys = [next, old]; // made meanwhile
    assert.deepEqual(await checker.check('a', [byNext, byOld]), [true, true]);
    assert.ok((await Promise.all(made)).every(([isGood]) => isGood === false));
    assert.equal(asked, 2);
    assert.deepEqual(pauses, [1_000]);
    keys = [next];
    clock.advance(3_600_001);
    await checker.check('a', [byOld]); // asks, and does not wait
    await new Promise(setImmediate);
    const [isGood] = await checker.check('a', [byOld]);
    assert.equal(isGood, false, 'the registry has it no more');
  });

  it('throws what asking throws, and asks again', async () => {
    let away = true;
    const keys = async (): Promise<Buffer[]> => {
      if (away) throw new Error('away');
      return [old];
    };
    const clock = fakeClock();
    const checker = createGrantChecker({ keys, clock, pause: async (ms) => clock.advance(ms) });
    const [granted] = GIVEN;
    assert.ok(granted);
    const claim = { granted, grant: signer([old]).sign(granted, 'a', NOW).bytes };
    await assert.rejects(checker.check('a', [claim]), /away/);
    assert.deepEqual(await checker.check('a', [{ granted, grant: Buffer.alloc(0) }]), [false], 'no grant needs no key');
    away = false;
    assert.deepEqual(await checker.check('a', [claim]), [true]);
    away = true;
    assert.deepEqual(await checker.check('a', [claim]), [true]);
  });
});
