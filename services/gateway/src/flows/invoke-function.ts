import type { InvokeFunctionRequest, InvokeFunctionResponse } from '@evenfall/contracts/v1/invocation_service';
import { durationOfMs, newUuidV7 } from '@evenfall/time';
import { orThrow } from '@evenfall/errors';
import { callTimeoutMs, durationRefusal, DURATIONS, msOr } from '@evenfall/function-model';
import { acceptedPayload, LARGE_PAYLOAD_BYTES, sizeRefusal } from '../domain/payload.ts';
import type { Caller, Gateway } from '../ports.ts';
import { runnableFunction } from './resolve.ts';

const NOTHING = Buffer.alloc(0);

/** Calls a function once and waits for what it comes to. Nothing of it is kept but its log. */
export async function invokeFunction(
  gateway: Gateway,
  caller: Caller,
  request: Omit<InvokeFunctionRequest, 'maxAnswerBytes'>,
): Promise<InvokeFunctionResponse> {
  orThrow(durationRefusal('queue_timeout', request.queueTimeout, DURATIONS.queueTimeout));
  const queueMs = msOr(request.queueTimeout, DURATIONS.queueTimeout);
  const { fn } = await runnableFunction(gateway, request);
  const payload = await checkedPayload(gateway, request.payload);
  const eventId = newUuidV7();
  const timeoutMs = callTimeoutMs(queueMs, fn);
  const { ended } = await gateway.scheduler.invoke(
    {
      assignment: {
        eventId,
        attempt: 1,
        namespace: fn.namespace,
        function: fn.name,
        version: fn.version,
        revision: fn.revision,
        payload,
        runningOnAgentId: '',
        synchronous: true,
        partition: 0,
        functionUid: fn.uid,
        mayBeDispatched: false, // of the log, which it is not in
      },
      queueTimeout: durationOfMs(queueMs),
      cancelOnDisconnect: request.cancelOnDisconnect,
    },
    { timeoutMs, signal: caller.signal },
  );
  return {
    eventId,
    statusCode: ended?.statusCode ?? 500,
    result: ended?.result ?? NOTHING,
    error: ended?.error ?? NOTHING,
    logTail: ended?.logTail ?? '',
    durationMs: ended?.durationMs ?? 0,
    billedDurationMs: BigInt(Math.ceil(ended?.durationMs ?? 0)),
    memoryBytes: ended?.memoryBytes ?? 0n,
  };
}

/** Checks the payload; one that would hold the event loop on a thread of its own. */
async function checkedPayload({ limits, bodies }: Gateway, payload: Buffer): Promise<Buffer> {
  const maxBytes = limits.maxSyncPayloadBytes;
  if (payload.length <= LARGE_PAYLOAD_BYTES) return orThrow(acceptedPayload(payload, maxBytes));
  orThrow(sizeRefusal(payload, maxBytes));
  return bodies.check(payload);
}
