import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { inOrder, type Outcome, runQueue, type Task } from './queue.ts';

const task = (file: string, seconds: number, lanes = 1): Task => ({ file, seconds, lanes });

/** Runs tasks of which each ends when it is its turn by its length, and says what ran beside what. */
async function play(tasks: readonly Task[], lanes: number) {
  const running = new Map<string, { task: Task; endsAt: number; end: (outcome: Outcome) => void }>();
  const starts: { file: string; beside: readonly Task[] }[] = [];
  let now = 0;
  const done = runQueue(tasks, lanes, (one) => {
    starts.push({ file: one.file, beside: [...running.values()].map((other) => other.task) });
    return new Promise((end) => running.set(one.file, { task: one, endsAt: now + one.seconds, end }));
  });
  for (let left = tasks.length; left > 0; left--) {
    const [next] = [...running.values()].sort((a, b) => a.endsAt - b.endsAt);
    assert.ok(next, 'something runs as long as something waits');
    now = next.endsAt;
    running.delete(next.task.file);
    next.end({ file: next.task.file, seconds: next.task.seconds, passed: true });
    await new Promise((turn) => setImmediate(turn));
  }
  return { outcomes: await done, starts, tookSeconds: now };
}

test('every task runs once, never more than the lanes hold, and one that takes them all runs alone', async () => {
  const tasks = fc.uniqueArray(
    fc.record({ file: fc.string({ minLength: 1 }), seconds: fc.integer({ min: 1, max: 100 }), lanes: fc.integer({ min: 1, max: 6 }) }),
    { selector: ({ file }) => file, maxLength: 20 },
  );
  await fc.assert(
    fc.asyncProperty(tasks, fc.integer({ min: 1, max: 4 }), async (given, lanes) => {
      const { outcomes, starts } = await play(given, lanes);
      assert.deepEqual(outcomes.map(({ file }) => file).sort(), given.map(({ file }) => file).sort());
      for (const { file, beside } of starts) {
        const width = given.find((one) => one.file === file)?.lanes ?? 0;
        if (width >= lanes) assert.equal(beside.length, 0);
        assert.ok(beside.reduce((sum, one) => sum + Math.min(one.lanes, lanes), Math.min(width, lanes)) <= lanes);
      }
    }),
  );
});

test('the longest begin first, and short ones fill what is left', async () => {
  const tasks = [task('short', 1), task('long', 10), task('middle', 5), task('quiet', 2, 2)];
  assert.deepEqual(
    inOrder(tasks).map(({ file }) => file),
    ['long', 'middle', 'quiet', 'short'],
  );
  const { starts, tookSeconds } = await play(tasks, 2);
  assert.deepEqual(
    starts.map(({ file }) => file),
    ['long', 'middle', 'short', 'quiet'],
  );
  assert.equal(tookSeconds, 12);
});
