import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createLineBudgets, MOST_LINES_OF_ATTEMPT, MOST_TEXT_OF_ATTEMPT } from './line-budgets.ts';

const of = (eventId: string, attempt = 1) => ({ eventId, attempt });

describe('what is stored of an attempt', () => {
  it('is bounded in lines and in text, for each attempt by itself', () => {
    const budgets = createLineBudgets();
    for (let n = 0; n < MOST_LINES_OF_ATTEMPT; n++) assert.ok(budgets.reserve(of('a'), 1));
    assert.equal(budgets.reserve(of('a'), 0), false);
    assert.equal(budgets.reserve(of('A'), 0), false, 'an id is the same in capital letters');
    assert.ok(budgets.reserve(of('a', 2), MOST_TEXT_OF_ATTEMPT));
    assert.equal(budgets.reserve(of('a', 2), 1), false);
    assert.ok(budgets.reserve(of('a', 2), 0), 'an empty line still fits');
    budgets.release(of('a'), { lines: 1, text: 1 });
    assert.ok(budgets.reserve(of('a'), 1));
  });

  it('never exceeds its bounds, whatever is sent, stored or not', () => {
    const step = fc.record({ text: fc.nat(MOST_TEXT_OF_ATTEMPT), isStored: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        const budgets = createLineBudgets();
        let stored = 0;
        for (const { text, isStored } of steps) {
          if (!budgets.reserve(of('a'), text)) {
            assert.ok(stored + text > MOST_TEXT_OF_ATTEMPT);
          } else if (isStored) stored += text;
          else budgets.release(of('a'), { lines: 1, text });
          assert.ok(stored <= MOST_TEXT_OF_ATTEMPT);
        }
      }),
    );
  });

  it('is remembered for so many attempts, those that wrote last', () => {
    const budgets = createLineBudgets(2);
    budgets.reserve(of('a'), 1);
    budgets.reserve(of('b'), 1);
    budgets.reserve(of('a'), 1);
    budgets.reserve(of('c'), 1);
    assert.deepEqual(
      ['a', 'b', 'c'].map((id) => budgets.isUnknown(of(id))),
      [false, true, false],
    );
    budgets.set(of('b'), { lines: MOST_LINES_OF_ATTEMPT, text: 0 });
    assert.equal(budgets.reserve(of('b'), 0), false);
  });
});
