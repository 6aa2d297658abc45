// Hostile functions, for as long as EVENFALL_FUZZ_SECONDS says, 20 by default: they say and do at random what no function should, and are
// stopped at random. EVENFALL_FUZZ_SEED makes the order again. Meanwhile another function is called at a steady pace. Afterwards nothing of them
// is left, every service lives, and memory is bounded. A run of five minutes and more also looks at the time of the other function's calls: at
// most twice their quiet time.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '@evenfall/testkit';
import { residentMb } from '../support/processes.ts';
import { startStack, type Stack } from '../support/stack.ts';
import { randomOf, type Random } from '../support/random.ts';
import { deployHostile, HOSTILE } from './hostile-functions.ts';
import { payloadFor } from './hostile-payloads.ts';
import { leftovers, type Leftovers } from './leftovers.ts';
import { percentile, startCaller } from './steady-caller.ts';
import { watchEnd } from './watch-end.ts';

const SECONDS = Number(process.env['EVENFALL_FUZZ_SECONDS'] ?? 20);
const SEED = Number(process.env['EVENFALL_FUZZ_SEED'] ?? Math.floor(Math.random() * 1e9));
/** So long it takes to compare times with. */
const IS_TIMED = SECONDS >= 300;
const QUIET_MS = IS_TIMED ? 30_000 : 2_000;
const SAY_EVERY_MS = 10_000;
/** Hostile events at a time. */
const AT_ONCE = 6;
const UIDS = { first: 960_000, last: 969_999 };
/** What the platform may hold more than before it was attacked, megabytes, once its garbage is collected; a short run begins before its caches are full. */
const MORE_MB = IS_TIMED ? 200 : 350;

describe('A platform whose functions are hostile', { timeout: (SECONDS + 300) * 1_000 }, () => {
  let stack: Stack;
  let atFirst: Leftovers;
  before(async () => {
    atFirst = leftovers(UIDS);
    stack = await startStack({ collectable: true, env: { EVENFALL_AGENT_UIDS: `${UIDS.first}-${UIDS.last}` } });
    await stack.rest.deploy(
      { name: 'other', runtime: 'nodejs', handler: 'index.handler' },
      { 'index.js': 'exports.handler = async (event) => event;' },
    );
    for (const hostile of HOSTILE) await deployHostile(stack.rest, hostile);
  });
  after(() => stack.dispose());

  let revision = 0;
  const outcomes = new Map<string, number>();
  /** One hostile event: handed over, stopped perhaps, and seen to its end. */
  const attack = async (random: Random): Promise<void> => {
    const { name } = HOSTILE[Math.floor(random() * HOSTILE.length)] ?? HOSTILE[0];
    const { id } = await stack.rest.send(name, payloadFor(name, random));
    if (random() < 0.3) {
      await sleep(random() * 1_500);
      const body = random() < 0.5 ? {} : { graceful: true, grace_period: `${Math.ceil(random() * 3)}s` };
      const { status, body: answer } = await stack.rest.terminate(id, body);
      assert.ok(status === 200 || answer.error.details[0]?.reason === 'EVENT_ENDED', `${status} ${JSON.stringify(answer)}`);
    }
    // A function that has crashed again and again waits before its next instance starts, until it has a new revision.
    const event = await watchEnd(stack.rest, id, 6_000).catch(async () => {
      await stack.rest.call('PATCH', `/v1/namespaces/default/functions/${name}`, { environment: { REVISION: String(revision++) } });
      return watchEnd(stack.rest, id, 60_000);
    });
    const outcome = `${name} ${event.state} ${event.status_code}`;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    const readers: Promise<unknown>[] = [stack.rest.logs(id), stack.rest.list(name, '', 20).then(() => undefined)];
    await Promise.all(random() < 0.1 ? readers : readers.slice(0, 1));
  };

  it(`lives, and serves others (EVENFALL_FUZZ_SEED=${SEED})`, async (test) => {
    const quiet = startCaller(stack, 'other');
    await sleep(QUIET_MS);
    const quietMs = await quiet.stop();
    stack.collectGarbage();
    const quietMb = residentMb(stack.pid);
    const caller = startCaller(stack, 'other');
    const untilMs = performance.now() + SECONDS * 1_000;
    let attacks = 0;
    let attackedMs: readonly number[] = [];
    const attacker = async (random: Random): Promise<void> => {
      while (performance.now() < untilMs) {
        await attack(random);
        attacks++;
      }
    };
    const progress = setInterval(() => test.diagnostic(`${attacks} attacks, ${Math.round(residentMb(stack.pid))} MB`), SAY_EVERY_MS);
    try {
      await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => attacker(randomOf(SEED + index))));
    } finally {
      clearInterval(progress);
      attackedMs = await caller.stop();
    }
    for (const [outcome, count] of [...outcomes].sort()) test.diagnostic(`${String(count).padStart(5)} × ${outcome}`);
    const p99 = { quiet: percentile(quietMs, 0.99), attacked: percentile(attackedMs, 0.99) };
    test.diagnostic(
      `calls of another function: p50 ${percentile(quietMs, 0.5).toFixed(1)} → ${percentile(attackedMs, 0.5).toFixed(1)} ms, ` +
        `p99 ${p99.quiet.toFixed(1)} → ${p99.attacked.toFixed(1)} ms, worst ${Math.max(...attackedMs).toFixed(0)} ms, of ${attackedMs.length}`,
    );
    const { status } = await fetch(`${stack.http}/readyz`);
    assert.equal(status, 200);
    let looks = 0;
    await eventually(async () => {
      if (looks++ > 0) await sleep(1_000); // a collection takes a while, and is not to wait for another
      stack.collectGarbage();
      const nowMb = residentMb(stack.pid);
      assert.ok(nowMb < quietMb + MORE_MB, `${Math.round(quietMb)} MB before, ${Math.round(nowMb)} MB after`);
      return true;
    }, 60_000);
    test.diagnostic(`memory of the platform: ${Math.round(quietMb)} → ${Math.round(residentMb(stack.pid))} MB`);
    if (IS_TIMED)
      assert.ok(p99.attacked <= 2 * p99.quiet, `p99 of another function's calls: ${p99.quiet} ms quiet, ${p99.attacked} ms under attack`);
  });

  it('keeps nothing of them', async () => {
    for (const { name } of HOSTILE) await stack.rest.call('DELETE', `/v1/namespaces/default/functions/${name}`);
    await stack.rest.call('DELETE', '/v1/namespaces/default/functions/other');
    await stack.stop();
    await eventually(() => {
      assert.deepEqual(leftovers(UIDS), atFirst);
      return true;
    }, 30_000);
  });
});
