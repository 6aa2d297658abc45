// An event whose receipt the runtime has not reported when the attempt is withdrawn: what the runtime reports until its process is gone still counts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AttemptResult, AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import { StartInstance } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import {
  KillSignal,
  Termination_Cause as Cause,
  Termination_Mode as Mode,
  Termination_Outcome as StopOutcome,
  TerminationPolicy,
  TerminationStep_Delivery as Delivery,
} from '@evenfall/contracts/v1/termination';
import { durationOfMs, fakeClock } from '@evenfall/time';
import type { Conversation, InstanceProcess } from '../ports.ts';
import type { Agent } from './agent.ts';
import { newAttempt } from './attempt.ts';
import { drainHost } from './drain-host.ts';
import { feed } from './drive-instance.ts';
import { handleDeadline } from './handle-deadline.ts';
import { newInstance } from './instance.ts';
import { handOver, onReceived } from './run-attempt.ts';
import { stopAttempt } from './stop-attempt.ts';
import type { Instance } from './types.ts';

const EVENT_ID = '01990000-0000-7000-8000-000000000003';
const NAMED = { eventId: EVENT_ID, attempt: 2 };
const quiet = (): void => undefined;

/** An agent whose one instance is a process that the test ends, and that has been given an event it has not received. */
function play() {
  const clock = fakeClock();
  const reports: AttemptReport[] = [];
  let swept: (count: number) => void = quiet;
  let kills = 0;
  // Only what a hand-over, a stop and an end touch.
  const agent = {
    agentId: 'a',
    clock,
    log: { info: quiet, warn: quiet },
    logs: { whenStored: quiet },
    attempts: new Map(),
    instances: new Map(),
    outbox: { report: (report: AttemptReport) => void reports.push(report), change: quiet, draining: quiet },
    deadlines: { set: quiet, drop: quiet },
    drain: undefined,
    feed: (...given: [Instance, Parameters<typeof feed>[2]]) => feed(agent, ...given),
  } as unknown as Agent;
  const process = {
    killGroup: () => (kills += 1),
    sweep: () => new Promise<number>((resolve) => (swept = resolve)),
    status: () => ({ peakBytes: 1, caught: 0n, ignored: 0n, blocked: 0n }),
    peakBytes: () => 1,
    containment: () => 'CGROUP',
  };
  const fn = { ...FunctionMessage.create(), memoryMb: 128, revision: 7, timeout: durationOfMs(5_000) };
  const instance = newInstance({ ...StartInstance.create(), instanceId: 'i' }, fn, 0);
  instance.life = { kind: 'IDLE' };
  instance.hasBeenReady = true;
  // Only what a hand-over, a stop and an end use of them.
  instance.runtime.conversation = { invoke: () => false, close: quiet } as unknown as Conversation;
  instance.runtime.process = process as unknown as InstanceProcess;
  agent.instances.set('i', instance);
  const attempt = newAttempt({ ...NAMED, partition: 7, synchronous: false }, Buffer.alloc(0));
  agent.attempts.set(attempt.key, attempt);
  handOver(agent, instance, attempt);
  assert.equal(attempt.phase.kind, 'HANDED_OVER');
  return {
    agent,
    instance,
    clock,
    kills: () => kills,
    kinds: () => reports.map(({ report }) => report?.$case),
    ended: (): AttemptResult | undefined => {
      const last = reports.at(-1)?.report;
      return last?.$case === 'ended' ? last.value : undefined;
    },
    /** Ends the process, as by SIGKILL by default. */
    async exit(exitCode: number | null = null, signal: string | null = 'SIGKILL'): Promise<void> {
      instance.runtime.exit = { exitCode, signal, byPlatform: signal === 'SIGKILL' };
      feed(agent, instance, { kind: 'LEADER_EXITED', exitCode, signal });
      swept(0);
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}
type Played = ReturnType<typeof play>;

const asked = (mode: Mode, cause: Cause) => (at: Played) => {
  const policy = TerminationPolicy.create({ killSignal: KillSignal.SIGTERM, gracePeriod: durationOfMs(2_000) });
  stopAttempt(at.agent, { ...NAMED, cause, mode, policy: mode === Mode.GRACEFUL ? policy : undefined });
};

const WAYS = [
  ['requested to end by force', asked(Mode.FORCE, Cause.USER), 'revoked', Cause.USER, Outcome.FORCE_KILLED, 499],
  ['requested to end gracefully', asked(Mode.GRACEFUL, Cause.USER), 'revoked', Cause.USER, Outcome.FORCE_KILLED, 499],
  ['too old, and recalled', asked(Mode.UNSPECIFIED, Cause.UNSPECIFIED), 'revoked', Cause.WITHDRAWN, Outcome.FORCE_KILLED, 499],
  [
    'left unread for too long',
    (at: Played) => handleDeadline(at.agent, at.instance, 15_000),
    'throttled',
    Cause.WITHDRAWN,
    Outcome.FORCE_KILLED,
    499,
  ],
  ['on a host that drains', (at: Played) => drainHost(at.agent, 10_000), 'throttled', Cause.DRAIN, Outcome.DRAINED, 500],
] as const;

describe('An event that was given to a runtime and not received', () => {
  for (const [why, withdraw, givenBack, cause, outcome, statusCode] of WAYS) {
    it(`${why}, is returned as one that has not begun`, async () => {
      const at = play();
      withdraw(at);
      assert.equal(at.kills(), 1);
      await at.exit();
      assert.deepEqual(at.kinds(), [givenBack]);
    });

    for (const when of ['before its process ended', 'after that'] as const)
      it(`${why}, has begun if it was received all the same, read ${when}, and its receipt says how it was stopped`, async () => {
        const at = play();
        withdraw(at);
        at.clock.advance(3);
        if (when === 'before its process ended') onReceived(at.agent, at.instance, at.instance.work.callSeq);
        else feed(at.agent, at.instance, { kind: 'LEADER_EXITED', exitCode: null, signal: 'SIGKILL' });
        onReceived(at.agent, at.instance, at.instance.work.callSeq);
        at.clock.advance(4);
        await at.exit();
        assert.deepEqual(at.kinds(), ['started', 'ended']);
        const ended = at.ended();
        assert.deepEqual([ended?.outcome, ended?.statusCode, ended?.started?.instanceId], [outcome, statusCode, 'i']);
        const stop = ended?.stop;
        assert.deepEqual([stop?.cause, stop?.outcome, stop?.signal, stop?.durationMs], [cause, StopOutcome.FORCE_KILLED, 'SIGKILL', 7]);
        assert.deepEqual(
          stop?.steps.map(({ signal, delivery }) => [signal, delivery]),
          [[KillSignal.SIGKILL, Delivery.DELIVERED]],
        );
      });

    it(`${why}, ended as its process did, where that was faster than the signal`, async () => {
      const at = play();
      withdraw(at);
      onReceived(at.agent, at.instance, at.instance.work.callSeq);
      await at.exit(3, null);
      assert.deepEqual([at.ended()?.outcome, at.ended()?.statusCode, at.ended()?.exitCode], [Outcome.EXITED, 439, 3]);
    });
  }

  it('has begun and has no receipt if its process left by itself before a stop was requested', async () => {
    const at = play();
    feed(at.agent, at.instance, { kind: 'LEADER_EXITED', exitCode: 4, signal: null });
    onReceived(at.agent, at.instance, at.instance.work.callSeq);
    await at.exit(4, null);
    assert.deepEqual(at.kinds(), ['started', 'ended']);
    assert.deepEqual([at.ended()?.outcome, at.ended()?.exitCode, at.ended()?.stop], [Outcome.EXITED, 4, undefined]);
  });
});
