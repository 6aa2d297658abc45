import {
  TerminationStep_Delivery as Delivery,
  TerminationStep_Disposition as Disposition,
  TerminationStep_Reception as Reception,
  type KillSignal,
  type TerminationStep,
} from '@evenfall/contracts/v1/termination';
import { blocks, dispositionOf, OUT_OF_SIGHT } from '../domain/disposition.ts';
import type { InstanceProcess } from '../ports.ts';
import type { Agent } from './agent.ts';
import { reportOn } from './attempt.ts';
import type { Attempt, Instance, StopRecord } from './types.ts';

/**
 * Sends a signal of a termination plan and notes it on the receipt. One that looks blocked is reported a moment later, when it is known
 * whether something in the process has received it: signalfd, sigwait and sigtimedwait leave no handler that could be seen before.
 */
export function sendSignal(agent: Agent, instance: Instance, signal: KillSignal): void {
  const { process, handlers } = instance.runtime;
  const { current } = instance.work;
  const stop = current?.phase.kind === 'RUNNING' ? current.phase.stop : undefined;
  if (!current || !stop || !process) return;
  const disposition = dispositionNow(process, signal, handlers);
  const sentTime = new Date(agent.clock.now());
  const sent = process.signal(signal, stop.policy.scope);
  if (!(sent instanceof Promise)) return noteDelivery(agent, { current, process, stop }, { signal, sentTime, disposition, delivery: sent });
  // Noted at once, so that steps are in their order; how it was delivered is known before how it worked.
  const unknown: TerminationStep = { signal, sentTime, disposition, delivery: Delivery.UNSPECIFIED, reception: Reception.UNSPECIFIED };
  stop.steps.push(unknown);
  void sent.then((delivery) => {
    const step = { ...unknown, delivery };
    const at = stop.steps.indexOf(unknown);
    if (at >= 0) stop.steps[at] = step;
    if (current.phase.kind === 'RUNNING') reportStep(agent, current, stop, step);
  });
}

type Stopped = { readonly current: Attempt; readonly process: InstanceProcess; readonly stop: StopRecord };

function noteDelivery(agent: Agent, { current, process, stop }: Stopped, sent: Omit<TerminationStep, 'reception'>): void {
  const { signal, disposition, delivery } = sent;
  const step: TerminationStep = { ...sent, reception: Reception.UNSPECIFIED };
  stop.steps.push(step);
  const isCertain = disposition === Disposition.CAUGHT || disposition === Disposition.IGNORED || delivery !== Delivery.DELIVERED;
  if (disposition !== Disposition.BLOCKED) reportStep(agent, current, stop, step);
  if (isCertain) return;
  void process.reception(signal, disposition === Disposition.BLOCKED).then((reception) => {
    const seen = { ...step, reception: RECEPTIONS[reception] };
    const at = stop.steps.indexOf(step);
    if (at >= 0) stop.steps[at] = seen;
    // What has ended meanwhile is reported with its complete receipt.
    if (disposition === Disposition.BLOCKED && current.phase.kind === 'RUNNING') reportStep(agent, current, stop, seen);
  });
}

const RECEPTIONS = { TAKEN: Reception.TAKEN, PENDING: Reception.PENDING, GONE: Reception.UNSPECIFIED } as const;

/** What the process would do with the signal now. One that its first thread blocks may still be received by another. */
function dispositionNow(process: InstanceProcess, signal: number, reported: number | undefined): Disposition {
  const status = process.status();
  const known = status && status !== OUT_OF_SIGHT && blocks(status, signal) ? { ...status, blocked: process.blockedByAll() } : status;
  return dispositionOf(signal, known, reported);
}

function reportStep(agent: Agent, attempt: Attempt, stop: StopRecord, step: TerminationStep): void {
  const value = { policy: stop.policyMessage, step, cause: stop.cause };
  agent.outbox.report(reportOn(attempt, { $case: 'signalSent', value }));
}
