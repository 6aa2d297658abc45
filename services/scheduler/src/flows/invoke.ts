import type { AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import type { InvokeRequest, InvokeResponse } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { Termination_Cause as Cause, Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import { refuse } from '@evenfall/errors';
import { DURATIONS, msOr } from '@evenfall/function-model';
import { isAtQuota, mostInstances, shareOf } from '../domain/account.ts';
import { forgetAttempt } from '../domain/cluster.ts';
import { outgoingOf } from '../domain/messages.ts';
import type { SchedulerPorts } from '../ports.ts';
import { flushAgents } from './flush.ts';
import { placeAttempts } from './place-attempts.ts';
import { applyAssignment, applyStop } from './apply-assignment.ts';

/**
 * Runs one attempt for a caller that waits. It runs on when the caller leaves, as at other clouds, unless the call asked to be cancelled then:
 * that is a graceful stop by the function's own policy.
 */
export async function invoke(ports: SchedulerPorts, request: InvokeRequest, signal: AbortSignal): Promise<InvokeResponse> {
  const { assignment } = request;
  if (!assignment) throw refuse('INVALID_FIELD', { field: 'assignment', rule: 'it must be set' });
  const { eventId, attempt } = assignment;
  const share = shareOf(ports.cluster.account, `${assignment.namespace}/${assignment.function}`);
  const most = (): number | undefined => mostInstances(share.account, share.space);
  const exhausted = (): Error =>
    isAtQuota(share)
      ? refuse('INSTANCE_QUOTA_EXHAUSTED', { namespace: assignment.namespace, function: assignment.function, limit: most() ?? 0 })
      : share.reservedMb === undefined
        ? refuse('CONCURRENCY_EXHAUSTED', { function: assignment.function })
        : refuse('RESERVED_EXHAUSTED', { function: assignment.function, reserved_mb: share.reservedMb });
  if (share.reservedMb === 0 || most() === 0) throw exhausted(); // off: it would wait for nothing
  return new Promise((resolve, reject) => {
    let started: InvokeResponse['started'];
    const leave = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onLeft);
    };
    const sink = {
      claims: undefined,
      report({ report }: AttemptReport): void {
        if (report?.$case === 'started') {
          started = report.value;
          clearTimeout(timer);
        } else if (report?.$case === 'revoked') {
          leave();
          reject(exhausted());
        } else if (report?.$case === 'ended') {
          leave();
          const scheduled = ports.cluster.attempts.get(eventId);
          if (scheduled?.instance) outgoingOf(scheduled.instance.agent).acks.push({ eventId, attempt });
          if (scheduled) forgetAttempt(ports.cluster, scheduled);
          resolve({ started, ended: report.value });
        }
      },
    };
    const giveUp = (mode: Mode): void => {
      applyStop(ports, { eventId, attempt, cause: Cause.USER, mode, policy: undefined }, sink);
      flushAgents(ports);
    };
    const onLeft = (): void => giveUp(Mode.GRACEFUL);
    const timer = setTimeout(giveUp, msOr(request.queueTimeout, DURATIONS.queueTimeout), Mode.FORCE);
    if (request.cancelOnDisconnect) signal.addEventListener('abort', onLeft, { once: true });
    const pool = applyAssignment(ports, assignment, sink);
    if (pool) placeAttempts(ports, pool);
    flushAgents(ports);
  });
}
