import type { AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import type { InvokeRequest, InvokeResponse } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { Termination_Cause as Cause, Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import { refuse } from '@evenfall/errors';
import { msOfDuration } from '@evenfall/time';
import { shareOf } from '../domain/account.ts';
import { forgetAttempt } from '../domain/cluster.ts';
import { outgoingOf } from '../domain/messages.ts';
import type { SchedulerPorts } from '../ports.ts';
import { flushAgents } from './flush.ts';
import { placeAttempts } from './place-attempts.ts';
import { takeAssignment, takeStop } from './take-assignment.ts';

const QUEUE_TIMEOUT_MS = 10_000;

/** Runs one attempt for a caller that waits. A caller that goes away has it stopped: nobody would hear its answer. */
export async function invoke(ports: SchedulerPorts, request: InvokeRequest, signal: AbortSignal): Promise<InvokeResponse> {
  const { assignment } = request;
  if (!assignment) throw refuse('INVALID_FIELD', { field: 'assignment', rule: 'it must be set' });
  const { eventId, attempt } = assignment;
  const share = shareOf(ports.cluster.account, `${assignment.namespace}/${assignment.function}`);
  const exhausted = (): Error =>
    share.reservedMb === undefined
      ? refuse('CONCURRENCY_EXHAUSTED', { function: assignment.function })
      : refuse('RESERVED_EXHAUSTED', { function: assignment.function, reserved_mb: share.reservedMb });
  if (share.reservedMb === 0) throw exhausted(); // off: it would wait for nothing
  return new Promise((resolve, reject) => {
    let started: InvokeResponse['started'];
    const leave = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
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
          const live = ports.cluster.attempts.get(eventId);
          if (live?.instance) outgoingOf(live.instance.agent).acks.push({ eventId, attempt });
          if (live) forgetAttempt(ports.cluster, live);
          resolve({ started, ended: report.value });
        }
      },
    };
    const stop = { eventId, attempt, cause: Cause.USER, mode: Mode.FORCE, policy: undefined };
    const giveUp = (): void => {
      takeStop(ports, stop, sink);
      flushAgents(ports);
    };
    const timer = setTimeout(giveUp, msOfDuration(request.queueTimeout) ?? QUEUE_TIMEOUT_MS);
    signal.addEventListener('abort', giveUp, { once: true });
    const pool = takeAssignment(ports, assignment, sink);
    if (pool) placeAttempts(ports, pool);
    flushAgents(ports);
  });
}
