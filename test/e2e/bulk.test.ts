import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { residentMb } from '../support/processes.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { stackSql } from '../support/stack-sql.ts';

const EVENTS = 8_000;
const BATCH = 1_000;
const ROUNDS = 3;
/** What the process may hold after the last round, going by the first. */
const GROWTH = 1.3;
const FINISHED_WITHIN_MS = 120_000;

describe(`${EVENTS} events of 200 bytes`, () => {
  let stack: Stack;
  before(async () => {
    // With the collector at hand, memory is what is held and not what has not been looked at yet.
    stack = await startStack({ collectable: true });
    await stack.rest.deployExample('echo');
  });
  after(() => stack.dispose());

  it('all succeed, are there once, and leave the process no larger than before', async (context) => {
    const sizes: number[] = [];
    const sent = new Map<string, number>();
    for (let round = 0; round < ROUNDS; round++) {
      for (let at = 0; at < EVENTS; at += BATCH) {
        const payloads = Array.from({ length: BATCH }, (_, n) => payloadOf(round * EVENTS + at + n));
        const ids = await stack.rest.sendBatch(
          'echo',
          payloads.map((payload) => ({ payload })),
        );
        ids.forEach((id, n) => sent.set(id, payloads[n]?.number ?? -1));
      }
      const expected = (round + 1) * EVENTS;
      await eventually(async () => (await stack.metric('evenfall_queue_ended_total')) === expected, FINISHED_WITHIN_MS);
      await eventually(async () => (await stack.rest.list('echo', 'state=QUEUED&state=RUNNING')).length === 0);
      sizes.push(await settledMb(stack));
    }
    context.diagnostic(`megabytes after each round: ${sizes.map(Math.round).join(', ')}`);
    assert.equal(sent.size, ROUNDS * EVENTS, 'no id was given twice');
    assert.ok((sizes.at(-1) ?? 0) < GROWTH * (sizes[0] ?? 0), `megabytes after each round: ${sizes.map(Math.round).join(', ')}`);

    const sql = stackSql(stack);
    try {
      const [counts] =
        await sql`SELECT (SELECT count(*)::int FROM events.ended_event WHERE state = 4) AS ended, (SELECT count(*)::int FROM events.open_event) AS open`;
      assert.deepEqual({ ...counts }, { ended: ROUNDS * EVENTS, open: 0 });
    } finally {
      await sql.end();
    }
    const [accepted, ended, balance] = await Promise.all(
      ['accepted_total', 'ended_total', 'balance'].map((name) => stack.metric(`evenfall_queue_${name}`)),
    );
    assert.deepEqual([accepted, ended, balance], [ROUNDS * EVENTS, ROUNDS * EVENTS, 0]);

    const listed = await stack.rest.list('echo');
    assert.equal(new Set(listed.map(({ id }) => id)).size, listed.length);
    assert.equal(listed.length, ROUNDS * EVENTS);
    for (const event of listed) {
      assert.deepEqual([event.state, event.attempts.length], ['SUCCEEDED', 1]);
      assert.equal((event.result as { number: number }).number, sent.get(event.id), 'its own payload came back');
    }
  });
});

function payloadOf(number: number): { readonly number: number; readonly padding: string } {
  return { number, padding: 'x'.repeat(200 - 30) };
}

/** Megabytes of memory of the process after it has released what it can. */
async function settledMb(stack: Stack): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  const until = performance.now() + 3_000;
  await eventually(async () => {
    stack.collectGarbage();
    least = Math.min(least, residentMb(stack.pid));
    return performance.now() > until;
  }, 10_000);
  return least;
}
