import type { NewEvent } from '@evenfall/contracts/queue/v1/queue_service';
import type { FunctionDestination, TopicDestination, WebhookDestination } from '@evenfall/contracts/v1/function';
import { isRefusal, type Reason, refuse } from '@evenfall/errors';
import { eventPolicyOf, MAX_DEPTH } from '@evenfall/event-model';
import { uuidOfName } from '@evenfall/time';
import type { Owed } from '../domain/deliveries.ts';
import { deliveryDocument } from '../domain/delivery-document.ts';
import type { Outcome } from '../domain/delivery-outcome.ts';
import type { Lanes } from '../domain/lanes.ts';
import { webhookOutcome, webhookRequest } from '../domain/webhook.ts';
import type { DestinationPorts, QueuePorts } from '../ports.ts';
import { acceptEvents } from './accept-events.ts';

/** The trigger of events that tell of others: a lane of their own, beside that of the doors. */
const TRIGGER = 'destination';
/** Refusals that are the same tomorrow, as far as anybody can say. */
const FINAL: ReadonlySet<Reason> = new Set(['INVALID_NAME', 'FUNCTION_NOT_FOUND', 'QUALIFIER_NOT_FOUND', 'DESTINATION_TOO_DEEP']);

type Ports = { readonly queue: QueuePorts; readonly destinations: DestinationPorts; readonly lanes: Lanes };

/** Tells a destination once. Never rejects: what nobody expected is tried again too. */
export async function tellDestination(ports: Ports, owed: Owed, signal: () => AbortSignal): Promise<Outcome> {
  try {
    switch (owed.target.$case) {
      case 'function':
        return await tellFunction(ports, owed, owed.target.value);
      case 'topic':
        return await tellTopic(ports, owed, owed.target.value);
      case 'webhook':
        return await tellWebhook(ports, owed, owed.target.value, signal());
    }
  } catch (error) {
    if (isRefusal(error)) {
      const said = `${error.reason}: ${error.message}`;
      return FINAL.has(error.reason) ? { kind: 'GIVE_UP', error: said } : { kind: 'RETRY', error: said, notBeforeMs: 0 };
    }
    return { kind: 'RETRY', error: error instanceof Error ? error.message : String(error), notBeforeMs: 0 };
  }
}

/** Makes an event of the function. Its id follows from that of the ended one: told twice, it is still one event. */
async function tellFunction({ queue, destinations, lanes }: Ports, owed: Owed, target: FunctionDestination): Promise<Outcome> {
  const { namespace, name, qualifier } = target;
  const depth = owed.stored.depth + 1;
  if (depth > MAX_DEPTH) throw refuse('DESTINATION_TOO_DEEP', { function: name, most: MAX_DEPTH });
  const fn = await destinations.resolveFunction(namespace, name, qualifier);
  if (fn.codeSha256 === '') throw refuse('FUNCTION_HAS_NO_CODE', { function: name });
  const made: NewEvent = {
    eventId: uuidOfName(namespace, name, 'destination', owed.id),
    delay: undefined,
    accepted: {
      namespace,
      function: name,
      qualifier,
      version: fn.version,
      revision: fn.revision,
      trigger: TRIGGER,
      payload: deliveryDocument(owed.stored),
      policy: eventPolicyOf(fn),
      notBefore: undefined,
      keyed: true,
      traceparent: owed.stored.traceparent,
      repeated: false,
      redrivenFrom: '',
      originEventId: owed.id,
      depth,
      functionUid: fn.uid,
    },
  };
  await acceptEvents(queue, lanes, { events: [made] });
  return { kind: 'DELIVERED', eventId: made.eventId };
}

async function tellTopic({ destinations }: Ports, { id, stored }: Owed, { name }: TopicDestination): Promise<Outcome> {
  if (!destinations.topics) return { kind: 'GIVE_UP', error: 'This platform has no Kafka' };
  const headers = stored.traceparent === '' ? {} : { traceparent: stored.traceparent };
  const refused = await destinations.topics.send({ topic: name, key: id, value: deliveryDocument(stored), headers });
  return refused === undefined ? { kind: 'DELIVERED', eventId: '' } : { kind: 'GIVE_UP', error: refused };
}

async function tellWebhook({ queue, destinations }: Ports, owed: Owed, target: WebhookDestination, signal: AbortSignal): Promise<Outcome> {
  const about = { eventId: owed.id, attempt: owed.attempts, traceparent: owed.stored.traceparent };
  const secret = await destinations.webhookSecret(target);
  const request = webhookRequest({ url: target.url, secret }, deliveryDocument(owed.stored), about, queue.clock.now());
  return webhookOutcome(await destinations.webhooks.send(request, signal), queue.clock.now());
}
