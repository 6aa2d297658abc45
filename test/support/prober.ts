import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Load } from './load.ts';
import type { EventAnswer, RestClient } from './rest-client.ts';

/** What was seen of events while things went wrong. */
export type Prober = {
  /** Final states that were seen, by id. They may not change any more. */
  readonly finals: ReadonlyMap<string, string>;
  /** Events whose termination was answered with 200, and when. */
  readonly terminated: ReadonlyMap<string, number>;
  /** Promises that were not kept, in words. */
  readonly broken: readonly string[];
  stop(): Promise<void>;
};

const FINAL = new Set(['SUCCEEDED', 'FAILED', 'TERMINATED', 'EXPIRED']);
const EVERY_MS = 100;
/** One in so many looks is a termination. */
const TERMINATE_EVERY = 8;

/**
 * Asks for events that were accepted a moment ago, and ends some of them by force. A call may be refused or break off, as long as something is
 * away; it may not answer what is not so.
 */
export function startProber(rest: RestClient, load: Load): Prober {
  const finals = new Map<string, string>();
  const terminated = new Map<string, number>();
  const broken: string[] = [];
  let isOver = false;
  let looks = 0;

  const look = async (id: string): Promise<EventAnswer | undefined> => {
    const { status, body } = await rest.call<EventAnswer>('GET', `/v1/events/${id}`);
    if (status === 404) broken.push(`${id} was accepted, and is not found: ${JSON.stringify(body)}`);
    if (status !== 200) return undefined;
    const before = finals.get(id);
    if (before !== undefined && before !== body.state) broken.push(`${id} was ${before}, and is ${body.state}`);
    if (FINAL.has(body.state)) finals.set(id, body.state);
    return body;
  };
  const end = async (id: string): Promise<void> => {
    const { status, body } = await rest.terminate(id, { reason: 'probed' });
    if (status !== 200) return;
    terminated.set(id, Date.now());
    if (!FINAL.has(body.state)) broken.push(`${id} was ended by force, and is ${body.state}`);
    finals.set(id, body.state);
    await look(id);
  };
  const run = async (): Promise<void> => {
    while (!isOver) {
      await sleep(EVERY_MS);
      const newest = load.accepted.at(-1);
      const older = load.accepted[Math.floor(Math.random() * load.accepted.length)];
      if (newest === undefined || older === undefined) continue;
      const asked = ++looks % TERMINATE_EVERY === 0 ? end(newest) : look(newest).then(() => look(older));
      await asked.catch(() => undefined); // the API itself may be unavailable
    }
  };
  const running = run();
  return {
    finals,
    terminated,
    broken,
    async stop() {
      isOver = true;
      await running;
    },
  };
}

/** What was seen on the way must agree with the final state, and nothing may have started after its termination was answered. */
export function checkProbed(
  prober: Prober,
  events: ReadonlyMap<string, EventAnswer>,
  runs: ReadonlyMap<string, readonly { beginMs: number }[]>,
): void {
  assert.deepEqual(prober.broken, []);
  for (const [id, state] of prober.finals) assert.equal(events.get(id)?.state, state, `${id} was seen as ${state}`);
  for (const [id, atMs] of prober.terminated) {
    const late = (runs.get(id) ?? []).filter(({ beginMs }) => beginMs > atMs);
    assert.deepEqual(late, [], `${id} began to run after its termination was answered`);
  }
}
