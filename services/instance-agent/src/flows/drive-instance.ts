// The only file that writes `life`, `hasBeenReady` and `sweptCount` of an instance.
import { SignalScope, Termination_Cause as Cause } from '@evenfall/contracts/v1/termination';
import { advance, type LifeEffect, type LifeInput } from '../domain/instance-life.ts';
import type { Agent } from './agent.ts';
import { concludeAttempt, finishInstance, setAside } from './end-attempt.ts';
import { endInstanceLog } from './instance-log.ts';
import { dequeueWaiting, noteReportedBusy } from './instance-work.ts';
import { killGroup, sweepGroup } from './kill-group.ts';
import { handOver } from './run-attempt.ts';
import { abandonHook, runPreStop } from './run-hooks.ts';
import { sendSignal } from './send-signal.ts';
import { stopWhenIdle } from './stop-instance.ts';
import type { Instance } from './types.ts';

/** Advances the life of an instance by an input, and performs what its table says must follow. Answers these effects. */
export function feed(agent: Agent, instance: Instance, input: LifeInput): readonly LifeEffect[] {
  const { state, effects } = advance(instance.life, input);
  instance.life = state;
  for (const effect of effects) perform(agent, instance, effect);
  return effects;
}

function perform(agent: Agent, instance: Instance, effect: LifeEffect): void {
  const { process, conversation, network } = instance.runtime;
  switch (effect.kind) {
    case 'ARM':
      return agent.deadlines.set(instance, effect.dueMs);
    case 'ANNOUNCE_READY':
      instance.hasBeenReady = true;
      reportReady(agent, instance, agent.clock.monotonic() - instance.start.requestMs);
      return startNext(agent, instance);
    case 'CONCLUDE':
      concludeAttempt(agent, instance);
      if (instance.life.kind === 'IDLE') return startNext(agent, instance);
      if (agent.drain) stopWhenIdle(agent, instance, Cause.DRAIN);
      return;
    case 'ANNOUNCE_FREE':
      if (noteReportedBusy(instance, false)) reportReady(agent, instance, 0);
      return startNext(agent, instance);
    case 'SET_ASIDE':
      return setAside(agent, instance);
    case 'ASK_TO_EXIT':
      return conversation?.leave();
    case 'WATCH_GROUP':
      void process?.groupEnded().then(() => agent.feed(instance, { kind: 'GROUP_ENDED' }));
      return;
    case 'RUN_PRE_STOP':
      return runPreStop(agent, instance);
    case 'SEND_SIGNAL':
      return sendSignal(agent, instance, effect.signal);
    case 'SEND_LEAVE':
      abandonHook(agent, instance, 'it took longer than its timeout');
      void process?.signal(effect.signal, SignalScope.MAIN);
      return;
    case 'ANSWER_EXTENSION':
      return; // `extend-grace` answers it
    case 'KILL_GROUP':
      return killGroup(agent, instance);
    case 'SWEEP':
      return sweepGroup(agent, instance, (count) => {
        instance.sweptCount = count;
        agent.feed(instance, { kind: 'SWEPT' });
      });
    case 'FINISH':
      conversation?.close();
      network?.close();
      endInstanceLog(agent, instance);
      return finishInstance(agent, instance, effect.end);
  }
}

function reportReady(agent: Agent, instance: Instance, startMs: number): void {
  agent.outbox.change({ instanceId: instance.id, change: { $case: 'ready', value: { startMs } } });
}

function startNext(agent: Agent, instance: Instance): void {
  const next = dequeueWaiting(instance);
  if (next) handOver(agent, instance, next);
  else if (agent.drain) stopWhenIdle(agent, instance, Cause.DRAIN);
}
