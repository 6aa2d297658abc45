import type { DispatchRequest, SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { superviseLoop } from '@evenfall/lifecycle';
import { type ClientOf, pushable } from '@evenfall/rpc';
import type { Dispatcher } from '../flows/dispatcher.ts';
import type { Health } from '../flows/watch-health.ts';
import type { QueuePorts } from '../ports.ts';

/** Keeps one stream to the scheduler: assignments and stops out, reports in. */
export function runDispatch(
  { queue: ports, health }: { readonly queue: QueuePorts; readonly health: Health },
  scheduler: ClientOf<SchedulerServiceService>,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<void> {
  const onFailure = (error: unknown): void => ports.log.warn('the stream to the scheduler ended', { error: String(error) });
  return superviseLoop({ name: 'dispatch', signal, onFailure }, async () => {
    const requests = pushable<DispatchRequest>();
    const responses = scheduler.dispatch(requests, { signal });
    dispatcher.connected((batch) => requests.push(batch));
    dispatcher.pump();
    try {
      for await (const { reports, claims, agents } of responses) {
        health.heard();
        if (agents) dispatcher.knows(agents);
        dispatcher.take(reports);
        for (const { partition, epoch } of claims) dispatcher.claimed(partition, Number(epoch));
        dispatcher.pump();
      }
    } finally {
      health.broken();
      dispatcher.disconnected();
      requests.end();
    }
    if (!signal.aborted) throw new Error('it was ended by the scheduler');
  });
}
