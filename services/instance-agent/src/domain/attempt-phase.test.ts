import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertNextPhase, type AttemptPhaseName, NEXT_PHASES } from './attempt-phase.ts';

const NAMES = Object.keys(NEXT_PHASES) as AttemptPhaseName[]; // the keys of a record are what its type says

describe('The phases of an attempt', () => {
  it('follow each other in one direction, to one end', () => {
    const order = ['WAITING', 'HANDED_OVER', 'RUNNING', 'REPORTING', 'ENDED'];
    for (const [from, next] of Object.entries(NEXT_PHASES)) {
      for (const to of next) assert.ok(order.indexOf(to) > order.indexOf(from), `${from} to ${to}`);
      assert.equal(next.length === 0, from === 'ENDED');
    }
  });

  it('are asserted: no other transition is possible', () => {
    for (const from of NAMES)
      for (const to of NAMES) {
        const enter = (): void => assertNextPhase(from, to, 'e/1');
        if (NEXT_PHASES[from].includes(to)) assert.doesNotThrow(enter);
        else assert.throws(enter, { message: `Attempt e/1 cannot go from ${from} to ${to}` });
      }
  });
});
