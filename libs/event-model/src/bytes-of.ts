import type { Assignment, AttemptResult, AttemptReport, StopReceipt } from '@evenfall/contracts/attempt/v1/attempt';
import type { AcceptedEvent, EventRecord, TerminationRequested } from '@evenfall/contracts/log/v1/record';
import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import type { Event } from '@evenfall/contracts/v1/event';
import type { LogLine } from '@evenfall/contracts/v1/log_service';
import type { Destination } from '@evenfall/contracts/v1/function';

/**
 * How many bytes messages take about, and never much less than they do: what carries many is cut by these. Encoding each of them to find out would
 * cost more than all else that is done with it.
 */
const MESSAGE = 128;
const RECORD = 256;
const STEP = 32;
const ENTRY = 64;
/** A code unit takes at most three bytes of UTF-8. */
const UNIT = 3;

/** Of one record of the log. */
export function recordBytes({ eventId, writerId, change }: EventRecord): number {
  const head = RECORD + (eventId.length + writerId.length) * UNIT;
  switch (change?.$case) {
    case 'accepted':
      return head + acceptedBytes(change.value);
    case 'attemptStarted':
      return head + textBytes(change.value.instanceId, change.value.agentId);
    case 'attemptEnded': {
      const { started, attemptResult: ended } = change.value;
      return head + textBytes(started?.instanceId, started?.agentId) + endedBytes(ended);
    }
    case 'terminationRequested':
      return head + MESSAGE + terminationBytes(change.value);
    case 'deliveryAttempted':
      return head + textBytes(change.value.error, change.value.eventId);
    default:
      return head;
  }
}

function terminationBytes({ requester, reason, policy, audit }: TerminationRequested): number {
  const audited = audit ? MESSAGE + textBytes(audit.keyId, audit.address, audit.operation, audit.namespace, audit.subject) : 0;
  return textBytes(requester, reason) + (policy?.escalation.length ?? 0) * STEP + audited;
}

/** Of what is reported about one attempt. */
export function reportBytes({ eventId, report }: AttemptReport): number {
  const head = MESSAGE + textBytes(eventId);
  if (report?.$case === 'ended') return head + endedBytes(report.value);
  return report?.$case === 'started' ? head + textBytes(report.value.instanceId, report.value.agentId) : head + MESSAGE;
}

/** Of one attempt that is asked for. */
export function assignmentBytes({
  payload,
  namespace,
  function: fn,
  version,
}: Pick<Assignment, 'payload' | 'namespace' | 'function' | 'version'>): number {
  return MESSAGE + payload.length + textBytes(namespace, fn, version);
}

/** Bytes of an event as it is shown. */
export function eventBytes(event: Event): number {
  let bytes =
    2 * RECORD + event.result.length + event.error.length + textBytes(event.namespace, event.function, event.qualifier, event.version);
  for (const attempt of event.attempts) bytes += RECORD + attempt.error.length + receiptBytes(attempt.stop);
  return bytes + receiptBytes(event.termination);
}

/** Of an event as the fold keeps it. */
export function foldedBytes({ event, payload, policy }: FoldedEvent): number {
  return (event ? eventBytes(event) : 0) + payload.length + destinationBytes(policy?.onSuccess) + destinationBytes(policy?.onFailure);
}

/** Of one line of a log, exactly enough: pages of lines are cut by it. */
export function lineBytes({ text, instanceId }: LogLine): number {
  return ENTRY + Buffer.byteLength(text) + textBytes(instanceId);
}

/** Of what an agent says about a stop, or of a receipt. */
export function receiptBytes(receipt: Pick<StopReceipt, 'steps' | 'extensions' | 'changes' | 'signal' | 'exit'> | undefined): number {
  if (!receipt) return 0;
  let bytes = RECORD + receipt.steps.length * STEP + receipt.changes.length * ENTRY + textBytes(receipt.signal, receipt.exit?.signal);
  for (const { reason } of receipt.extensions) bytes += ENTRY + textBytes(reason);
  return bytes;
}

/** Of the end of one attempt. */
export function endedBytes(ended: AttemptResult | undefined): number {
  if (!ended) return 0;
  const { result, error, signal, logTail, stop, started } = ended;
  return MESSAGE + result.length + error.length + textBytes(signal, logTail, started?.instanceId, started?.agentId) + receiptBytes(stop);
}

function acceptedBytes(accepted: AcceptedEvent): number {
  const {
    payload,
    namespace,
    function: fn,
    qualifier,
    version,
    trigger,
    traceparent,
    redrivenFrom,
    originEventId,
    accessKeyId,
    policy,
  } = accepted;
  const texts = textBytes(namespace, fn, qualifier, version, trigger, traceparent, redrivenFrom, originEventId, accessKeyId);
  return payload.length + texts + destinationBytes(policy?.onSuccess) + destinationBytes(policy?.onFailure);
}

function destinationBytes(destination: Destination | undefined): number {
  if (!destination?.target) return 0;
  let bytes = MESSAGE;
  for (const value of Object.values(destination.target.value)) if (typeof value === 'string') bytes += value.length * UNIT;
  return bytes;
}

function textBytes(...texts: readonly (string | undefined)[]): number {
  let units = 0;
  for (const text of texts) units += text?.length ?? 0;
  return units * UNIT;
}
