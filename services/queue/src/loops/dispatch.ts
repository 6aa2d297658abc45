import type { DispatchRequest, SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { Subscription } from '@evenfall/event-log';
import { superviseLoop } from '@evenfall/lifecycle';
import { type ClientOf, pushable } from '@evenfall/rpc';
import { applyReports, confirmClaim } from '../flows/apply-reports.ts';
import { connectScheduler, dispatchReady, type DispatchParts } from '../flows/dispatch.ts';
import type { Health } from '../flows/watch-health.ts';

export type DispatchLoopParts = DispatchParts & {
  readonly subscription: Subscription;
  readonly scheduler: ClientOf<SchedulerServiceService>;
  readonly health: Health;
};

/** Keeps one stream to the scheduler: assignments and stops out, reports in. */
export function runDispatch(parts: DispatchLoopParts, signal: AbortSignal): Promise<void> {
  const { queue, stream, subscription, scheduler, health } = parts;
  const onFailure = (error: unknown): void => queue.log.warn('the stream to the scheduler ended', { error: String(error) });
  return superviseLoop({ name: 'dispatch', signal, onFailure }, async () => {
    const requests = pushable<DispatchRequest>();
    const responses = scheduler.dispatch(requests, { signal });
    connectScheduler(parts, (batch) => requests.push(batch));
    dispatchReady(parts, subscription.isOwner());
    try {
      for await (const { reports, claims, agents } of responses) {
        health.streamReceived();
        if (agents) stream.receiveAgents(agents);
        applyReports(parts, reports);
        for (const { partition, epoch } of claims) confirmClaim(parts, partition, Number(epoch));
        dispatchReady(parts, subscription.isOwner());
      }
    } finally {
      health.streamBroken();
      stream.disconnect();
      requests.end();
    }
    if (!signal.aborted) throw new Error('the scheduler ended it');
  });
}
