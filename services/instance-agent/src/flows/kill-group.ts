import {
  KillSignal as Signals,
  TerminationStep_Delivery as Delivery,
  TerminationStep_Reception as Reception,
} from '@evenfall/contracts/v1/termination';
import { dispositionOf } from '../domain/disposition.ts';
import type { Agent } from './agent.ts';
import { readPeakMemory } from './measure-memory.ts';
import type { Instance, StopRecord } from './types.ts';

/** Sends SIGKILL to all processes of an instance, and notes it on the receipt of the attempt that it stops. */
export function killGroup(agent: Agent, instance: Instance): void {
  const { process } = instance.runtime;
  if (!process) {
    agent.feed(instance, { kind: 'LEADER_EXITED', exitCode: null, signal: 'SIGKILL' });
    return;
  }
  const status = process.status();
  readPeakMemory(instance);
  // One that has answered is only removed: that is no step of its receipt.
  const { life } = instance;
  const isKilling = (life.kind === 'KILLING' || life.kind === 'SWEEPING') && life.end.kind !== 'ANSWERED';
  const stop = stopOf(instance);
  if (isKilling && stop && !stop.isTooLate) {
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

function stopOf({ work }: Instance): StopRecord | undefined {
  const phase = work.current?.phase;
  if (phase?.kind === 'HANDED_OVER') return phase.withdrawal;
  return phase?.kind === 'RUNNING' ? phase.stop : undefined;
}

/** Removes all that outlived the leader of an instance. A sweep that fails is logged, and the end goes on: the user id is lost then. */
export function sweepGroup(agent: Agent, instance: Instance, done: (count: number) => void): void {
  const { process } = instance.runtime;
  if (!process) return done(0);
  process.sweep().then(done, (error: unknown) => {
    agent.log.error('A sweep failed', error, { instance: instance.id });
    done(0);
  });
}
