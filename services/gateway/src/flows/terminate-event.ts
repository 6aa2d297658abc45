import { TerminateEventRequest_Wait as QueueWait } from '@evenfall/contracts/queue/v1/queue_service';
import { type TerminateEventRequest, TerminateEventRequest_Wait, type TerminateEventResponse } from '@evenfall/contracts/v1/event_service';
import { Termination_Mode } from '@evenfall/contracts/v1/termination';
import { orThrow } from '@evenfall/errors';
import { callPolicyRefusal } from '@evenfall/function-model';
import { auditRecord } from '../domain/audit-entry.ts';
import { enumRefusal, eventIdOf, lengthRefusal } from '../domain/fields.ts';
import { TIMEOUTS_MS } from '../domain/timeouts.ts';
import type { Caller, Gateway } from '../ports.ts';
import { getEvent } from './get-event.ts';

/** Terminates one event and returns it as it is once what was waited for has happened. */
export async function terminateEvent(gateway: Gateway, caller: Caller, request: TerminateEventRequest): Promise<TerminateEventResponse> {
  const eventId = orThrow(eventIdOf(request.id));
  orThrow(callPolicyRefusal(request.graceful, request.policy));
  orThrow(lengthRefusal('reason', request.reason, 256));
  orThrow(enumRefusal('wait', request.wait, TerminateEventRequest_Wait));
  const untilEnded = request.wait === TerminateEventRequest_Wait.ENDED;
  const { positions } = await gateway.queue.terminateEvent(
    {
      eventId,
      mode: request.graceful ? Termination_Mode.GRACEFUL : Termination_Mode.FORCE,
      policy: request.policy,
      requester: caller.requester,
      reason: request.reason,
      wait: untilEnded ? QueueWait.ENDED : QueueWait.DELIVERED,
      onlyIfHeld: false,
      audit: caller.audited && auditRecord({ ...caller.audited, namespace: undefined, subject: eventId, outcome: '' }),
    },
    { timeoutMs: untilEnded ? TIMEOUTS_MS.terminateEnded : TIMEOUTS_MS.terminate, signal: caller.signal },
  );
  return { event: await getEvent(gateway, eventId, positions) };
}
