import { AcceptedEvent } from '@evenfall/contracts/log/v1/record';
import type { EventToAccept } from '@evenfall/contracts/queue/v1/queue_service';
import type { FunctionDestination, TopicDestination, WebhookDestination } from '@evenfall/contracts/v1/function';
import { isRefusal, type Reason, refuse } from '@evenfall/errors';
import { MAX_DEPTH } from '@evenfall/event-model';
import { eventPolicyOf } from '@evenfall/function-model';
import { uuidOfName } from '@evenfall/time';
import { deliveryDocument } from '../domain/delivery-document.ts';
import type { Outcome } from '../domain/delivery-outcome.ts';
import type { PendingDelivery } from '../domain/types.ts';
import { webhookOutcome, webhookRequest } from '../domain/webhook.ts';
import type { DestinationPorts, QueuePorts } from '../ports.ts';
import { acceptEvents } from './accept-events.ts';
import type { Partitions } from './partitions.ts';

/** The trigger of events made for function destinations: a lane of their own, beside that of the API. */
const TRIGGER = 'destination';
/** Permanent refusals: not retried. */
const PERMANENT: ReadonlySet<Reason> = new Set(['INVALID_NAME', 'FUNCTION_NOT_FOUND', 'QUALIFIER_NOT_FOUND', 'DESTINATION_TOO_DEEP']);

type Parts = { readonly queue: QueuePorts; readonly ports: DestinationPorts; readonly partitions: Partitions };

/** Makes one attempt at a delivery. Never rejects: an unexpected failure is retried too. */
export async function deliverToDestination(parts: Parts, delivery: PendingDelivery, signal: () => AbortSignal): Promise<Outcome> {
  try {
    switch (delivery.target.$case) {
      case 'function':
        return await deliverToFunction(parts, delivery, delivery.target.value);
      case 'topic':
        return await deliverToTopic(parts, delivery, delivery.target.value);
      case 'webhook':
        return await deliverToWebhook(parts, delivery, delivery.target.value, signal());
    }
  } catch (error) {
    if (isRefusal(error)) {
      const text = `${error.reason}: ${error.message}`;
      return PERMANENT.has(error.reason) ? { kind: 'GIVE_UP', error: text } : { kind: 'RETRY', error: text, notBeforeMs: 0 };
    }
    return { kind: 'RETRY', error: error instanceof Error ? error.message : String(error), notBeforeMs: 0 };
  }
}

/** Makes an event of the function. Its id follows from that of the ended one: delivered twice, it is still one event. */
async function deliverToFunction(
  { queue, ports, partitions }: Parts,
  delivery: PendingDelivery,
  target: FunctionDestination,
): Promise<Outcome> {
  const { namespace, name, qualifier } = target;
  const depth = delivery.folded.depth + 1;
  if (depth > MAX_DEPTH) throw refuse('DESTINATION_TOO_DEEP', { function: name, most: MAX_DEPTH });
  const fn = await ports.resolveFunction(namespace, name, qualifier);
  if (fn.codeSha256 === '') throw refuse('FUNCTION_HAS_NO_CODE', { function: name });
  const made: EventToAccept = {
    eventId: uuidOfName(namespace, name, 'destination', delivery.id),
    delay: undefined,
    accepted: AcceptedEvent.create({
      namespace,
      function: name,
      qualifier,
      version: fn.version,
      revision: fn.revision,
      trigger: TRIGGER,
      payload: deliveryDocument(delivery.folded),
      policy: eventPolicyOf(fn),
      keyed: true,
      traceparent: delivery.folded.traceparent,
      originEventId: delivery.id,
      depth,
      functionUid: fn.uid,
      accessKeyId: delivery.folded.accessKeyId,
    }),
  };
  await acceptEvents(queue, partitions, { events: [made] });
  return { kind: 'DELIVERED', eventId: made.eventId };
}

async function deliverToTopic({ ports }: Parts, { id, folded }: PendingDelivery, { name }: TopicDestination): Promise<Outcome> {
  if (!ports.topics) return { kind: 'GIVE_UP', error: 'This platform has no Kafka' };
  const headers = folded.traceparent === '' ? {} : { traceparent: folded.traceparent };
  const refused = await ports.topics.send({ topic: name, key: id, value: deliveryDocument(folded), headers });
  return refused === undefined ? { kind: 'DELIVERED', eventId: '' } : { kind: 'GIVE_UP', error: refused };
}

async function deliverToWebhook(
  { queue, ports }: Parts,
  delivery: PendingDelivery,
  target: WebhookDestination,
  signal: AbortSignal,
): Promise<Outcome> {
  const about = { eventId: delivery.id, attempt: delivery.attempts, traceparent: delivery.folded.traceparent };
  const secret = await ports.webhookSecret(target);
  const request = webhookRequest({ url: target.url, secret }, deliveryDocument(delivery.folded), about, queue.clock.now());
  return webhookOutcome(await ports.webhooks.send(request, signal), queue.clock.now());
}
