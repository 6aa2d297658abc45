import {
  Termination_Cause as Cause,
  TerminationStep_Delivery as Delivery,
  TerminationStep_Reception as Reception,
  SignalScope,
  KillSignal as Signals,
} from '@evenfall/contracts/v1/termination';
import { dispositionOf } from '../domain/disposition.ts';
import { advance, type LifeEffect, type LifeInput } from '../domain/instance-life.ts';
import { LEAVE_POLICY, resolvePolicy } from '../domain/termination-plan.ts';
import type { Agent, Instance } from './agent.ts';
import { announceFree, concludeAttempt, finishInstance, setAside } from './end-attempt.ts';
import { handOver } from './run-attempt.ts';
import { breakOffHook, endInstanceLog, preStopTimeoutMs, runPreStop } from './run-hooks.ts';
import { sendSignal } from './send-signal.ts';

/** Tells an instance what happened and does what its life table says must follow. */
export function feed(agent: Agent, instance: Instance, input: LifeInput): void {
  const step = advance(instance.life, input);
  instance.life = step.state;
  for (const effect of step.effects) perform(agent, instance, effect);
}

function perform(agent: Agent, instance: Instance, effect: LifeEffect): void {
  switch (effect.kind) {
    case 'ARM':
      return agent.deadlines.set(instance, effect.dueMs);
    case 'ANNOUNCE_READY':
      instance.ready = true;
      agent.outbox.change({
        instanceId: instance.id,
        change: { $case: 'ready', value: { startMs: agent.clock.monotonic() - instance.startMs } },
      });
      return takeNext(agent, instance);
    case 'CONCLUDE':
      concludeAttempt(agent, instance);
      if (instance.life.kind === 'IDLE') return takeNext(agent, instance);
      if (agent.drain) stopWhenIdle(agent, instance, Cause.DRAIN);
      return;
    case 'ANNOUNCE_FREE':
      announceFree(agent, instance);
      return takeNext(agent, instance);
    case 'SET_ASIDE':
      return setAside(agent, instance);
    case 'ASK_TO_EXIT':
      return instance.conversation?.leave();
    case 'WATCH_GROUP':
      void instance.process?.groupEnded().then(() => agent.feed(instance, { kind: 'GROUP_ENDED' }));
      return;
    case 'RUN_PRE_STOP':
      return runPreStop(agent, instance);
    case 'SEND_SIGNAL':
      return sendSignal(agent, instance, effect.signal);
    case 'SEND_LEAVE':
      breakOffHook(agent, instance, 'it took longer than its timeout');
      void instance.process?.signal(effect.signal, SignalScope.MAIN);
      return;
    case 'TELL_EXTENSION':
      instance.extension = { grantedMs: effect.grantedMs, reason: effect.reason };
      return;
    case 'KILL_GROUP':
      return killGroup(agent, instance);
    case 'SWEEP':
      return sweep(agent, instance);
    case 'FINISH':
      instance.conversation?.close();
      instance.network?.close();
      endInstanceLog(agent, instance);
      return finishInstance(agent, instance, effect.ending);
  }
}

function takeNext(agent: Agent, instance: Instance): void {
  const next = instance.waiting.shift();
  if (next) handOver(agent, instance, next);
  else if (agent.drain) stopWhenIdle(agent, instance, Cause.DRAIN);
}

/** Stops an instance in order; without effect on one that is busy. Only an update may have a policy of its own: idle is 50 ms. */
export function stopWhenIdle(agent: Agent, instance: Instance, cause: Cause): void {
  const hookTimeoutMs = preStopTimeoutMs(instance.fn);
  const own = cause === Cause.UPDATE ? instance.fn.terminationByCause?.update : undefined;
  const policy = own && resolvePolicy(undefined, own, LEAVE_POLICY.graceMs);
  agent.feed(instance, { kind: 'STOP_INSTANCE', nowMs: agent.clock.monotonic(), hookTimeoutMs, ...(policy ? { policy } : {}) });
}

function killGroup(agent: Agent, instance: Instance): void {
  const { process, current } = instance;
  if (!process) return agent.feed(instance, { kind: 'LEADER_EXITED', exitCode: null, signal: 'SIGKILL' });
  const status = process.status();
  instance.peakBytes = Math.max(instance.peakBytes, process.peakBytes());
  // One that has answered is only removed: that is no step of its receipt.
  const { life } = instance;
  const killing = (life.kind === 'KILLING' || life.kind === 'SWEEPING') && life.ending.kind !== 'ANSWERED';
  const stop = current?.phase === 'WAITING' ? current.withdrawn : current?.stop;
  if (killing && stop && !stop.tooLate) {
    const signal = Signals.SIGKILL;
    const delivery = status ? Delivery.DELIVERED : Delivery.NO_PROCESS;
    stop.steps.push({
      signal,
      sentTime: new Date(agent.clock.now()),
      disposition: dispositionOf(signal, status, undefined),
      delivery,
      reception: Reception.UNSPECIFIED,
    });
  }
  process.killGroup();
}

function sweep(agent: Agent, instance: Instance): void {
  if (!instance.process) return agent.feed(instance, { kind: 'SWEPT' });
  instance.process.sweep().then(
    (count) => {
      instance.sweptCount = count;
      agent.feed(instance, { kind: 'SWEPT' });
    },
    (error: unknown) => {
      agent.log.error('A sweep failed', error, { instance: instance.id });
      agent.feed(instance, { kind: 'SWEPT' });
    },
  );
}
