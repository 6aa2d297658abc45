import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AttachResponse, Hello, SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { refuse, type Refusal } from '@evenfall/errors';
import { type ClientOf, pushable } from '@evenfall/rpc';
import { silentLog } from '@evenfall/telemetry';
import { eventually } from '@evenfall/testkit';
import { durationOfMs, fakeClock, systemClock } from '@evenfall/time';
import { attachment } from './attach.ts';

/** A scheduler that answers every hello with a refusal, and counts them. */
function refusing(refusal: Refusal) {
  const seen = { hellos: 0, errors: [] as string[] };
  const scheduler = {
    attach: () => {
      seen.hellos++;
      const answers = pushable<never>();
      answers.fail(refusal);
      return answers;
    },
  } as unknown as ClientOf<typeof SchedulerServiceService>; // the loop calls nothing else
  const log = {
    ...silentLog,
    error: (message: string, _: unknown, fields = {}) => void seen.errors.push(`${message} ${JSON.stringify(fields)}`),
  };
  const loop = attachment(scheduler, systemClock, log, () => 0, {
    sharesProcess: false,
    hello: () => Hello.create({ agentId: 'a' }),
    drainLeftMs: () => undefined,
    repeat: () => undefined,
    receive: () => undefined,
    leaseLost: () => undefined,
  });
  const stop = new AbortController();
  const run = loop.run(stop.signal);
  return {
    seen,
    async end() {
      stop.abort();
      await run;
    },
  };
}

describe('an agent whose hello is refused', () => {
  it('logs why, and does not retry at once, if it is refused for its content', async () => {
    const { seen, end } = refusing(refuse('INVALID_FIELD', { field: 'hello.capacity_mb', rule: 'a whole number' }));
    await eventually(() => seen.errors.length === 1);
    // A scheduler that is away is tried again after a tenth of a second: after three tries of that one, this one would have been tried three times as well.
    const away = refusing(refuse('SERVICE_UNAVAILABLE', { detail: 'it starts' }));
    await eventually(() => away.seen.hellos >= 3);
    assert.equal(seen.hellos, 1);
    assert.match(seen.errors[0] ?? '', /refuses this agent.*hello\.capacity_mb/);
    assert.equal(away.seen.errors.length, 0);
    await end();
    await away.end();
  });
});

describe('the lease of an agent that stood still', () => {
  for (const [sharesProcess, isLost] of [
    [true, false],
    [false, true],
  ] as const)
    it(`is ${isLost ? 'lost: another may run what it has' : 'not lost where its scheduler stood still with it'}`, async () => {
      const clock = fakeClock();
      let losses = 0;
      const welcome = { lease: durationOfMs(30_000), heartbeatInterval: durationOfMs(10_000) };
      const answers = pushable<AttachResponse>();
      answers.push({ ...AttachResponse.create(), welcome });
      const scheduler = { attach: () => answers } as unknown as ClientOf<typeof SchedulerServiceService>; // the loop calls nothing else
      const loop = attachment(scheduler, clock, silentLog, () => 0, {
        sharesProcess,
        hello: () => Hello.create({ agentId: 'a' }),
        drainLeftMs: () => undefined,
        repeat: () => undefined,
        receive: () => undefined,
        leaseLost: () => {
          losses += 1;
        },
      });
      const stop = new AbortController();
      const run = loop.run(stop.signal);
      await eventually(() => loop.isAttached());
      clock.advance(60_000);
      loop.checkLease();
      assert.equal(losses, isLost ? 1 : 0);
      // One that goes on has a lease as any other: without an answer it ends.
      for (let i = 0; i < 200; i++) {
        clock.advance(250);
        loop.checkLease();
      }
      assert.equal(losses, 1);
      stop.abort();
      answers.end();
      await run;
    });
});
