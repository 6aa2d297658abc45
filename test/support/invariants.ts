import assert from 'node:assert/strict';
import { eventually } from '@evenfall/testkit';
import type { EventAnswer, RestClient } from './rest-client.ts';
import type { Witness } from './witness.ts';

const OPEN = 'state=QUEUED&state=RUNNING&state=TERMINATING';

/** How an attempt may end that never began. */
const UNBEGUN: readonly unknown[] = ['LOST', 'START_FAILED', 'DRAINED'];

/** Waits until nothing of a function is open; reads may be refused meanwhile. */
export function nothingOpen(rest: RestClient, fn: string, withinMs: number): Promise<unknown> {
  const path = `/v1/namespaces/default/functions/${fn}/events?page_size=1&${OPEN}`;
  return eventually(async () => {
    const { status, body } = await rest.call<{ events?: EventAnswer[] }>('GET', path);
    return status === 200 && body.events?.length === 0;
  }, withinMs);
}

/** Every id that got a 202 is there, once, and its history is possible. Returns the events, by id. */
export function checkHistory(
  events: readonly EventAnswer[],
  accepted: readonly string[],
  states = ['SUCCEEDED'],
): Map<string, EventAnswer> {
  const byId = new Map(events.map((event) => [event.id, event]));
  const twice = events.filter((event) => byId.get(event.id) !== event).map(({ id }) => events.filter((event) => event.id === id));
  assert.deepEqual(
    twice.map((each) => JSON.stringify(each.map(brief))),
    [],
    'no event is listed twice',
  );
  assert.deepEqual(
    accepted.filter((id) => !byId.has(id)),
    [],
    'every accepted event is there',
  );
  for (const event of events) {
    const { id, state, attempts } = event;
    assert.ok(states.includes(state), `${id}: ${state} ${event.status_code} ${JSON.stringify(event.error)}`);
    const returned = attempts.filter(({ outcome }) => outcome === 'RETURNED').length;
    if (state === 'SUCCEEDED') assert.equal(returned, 1, `${id} returned once`);
    assert.deepEqual(
      attempts.map(({ number }) => number),
      attempts.map((_, index) => index + 1),
      `${id}: attempt numbers rise by one`,
    );
    attempts.forEach((attempt, index) => {
      if (attempt.start_time === null) {
        const what = `${id}: attempt ${attempt.number} never began, and ${attempt.outcome}: ${JSON.stringify(event)}`;
        assert.ok(UNBEGUN.includes(attempt.outcome), what);
        return;
      }
      if (index === 0) return;
      const began = Date.parse(attempt.start_time);
      const ended = Date.parse(attempts[index - 1]?.end_time ?? '');
      assert.ok(began >= ended, `${id}: attempt ${attempt.number} began before the one before it had ended: ${JSON.stringify(event)}`);
    });
  }
  return byId;
}

/** An event without what it returned. */
function brief(event: EventAnswer): object {
  return { ...event, result: JSON.stringify(event.result)?.slice(0, 100) };
}

/** What really ran, by the functions' own word: never two runs of one event at a time, and as many as there were attempts at most. */
export function checkRuns(witness: Witness, events: ReadonlyMap<string, EventAnswer>): void {
  const all = witness.runs();
  for (const [id, { state }] of events) if (state === 'SUCCEEDED') assert.ok(all.has(id), `${id} is said to have succeeded, and never ran`);
  for (const [id, runs] of all) {
    const event = events.get(id);
    assert.ok(event, `${id} ran, and no record of it exists`);
    // One that was ended while a new owner did not know yet that it had been sent has no attempt on record.
    const most = event.attempts.length + (event.state === 'TERMINATED' ? 1 : 0);
    assert.ok(
      runs.length <= most,
      `${id} ran ${runs.length} times in ${event.attempts.length} attempts: ${JSON.stringify({ runs, event })}`,
    );
    runs.slice(1).forEach(({ beginMs }, index) => {
      const before = runs[index]?.endMs;
      assert.ok(before === undefined || beginMs >= before, `${id} ran twice at a time`);
    });
  }
}
