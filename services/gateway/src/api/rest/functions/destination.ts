import { type Delivery, Delivery_Kind, Delivery_State } from '@evenfall/contracts/v1/event';
import type { Destination } from '@evenfall/contracts/v1/function';
import { nameOf } from '../json/enum-names.ts';
import type { DestinationBody } from '../json/schemas.ts';

/** A destination as it is written in settings; without the secret, which no answer shows. */
export function destinationJson(destination: Destination | undefined): object | undefined {
  const target = destination?.target;
  switch (target?.$case) {
    case 'function': {
      const { namespace, name, qualifier } = target.value;
      return { function: `${namespace === '' ? '' : `${namespace}/`}${name}${qualifier === '' ? '' : `:${qualifier}`}` };
    }
    case 'topic':
      return { topic: target.value.name };
    case 'webhook':
      return { webhook: { url: target.value.url, secret_set: target.value.secretSet } };
    case undefined:
      return undefined;
  }
}

/** Reads a destination that a schema has let through; the registry judges it. */
export function destinationFrom(body: DestinationBody | undefined): Destination | undefined {
  if (body?.function !== undefined) {
    const [, namespace = '', name = '', qualifier = ''] = FUNCTION.exec(body.function) ?? [];
    return { target: { $case: 'function', value: { namespace, name, qualifier } } };
  }
  if (body?.topic !== undefined) return { target: { $case: 'topic', value: { name: body.topic } } };
  if (body?.webhook === undefined) return undefined;
  const { url = '', secret = '' } = body.webhook;
  return { target: { $case: 'webhook', value: { url, secret, secretSet: false } } };
}

const FUNCTION = /^(?:([^/:]*)\/)?([^/:]*)(?::(.*))?$/;

export function deliveryJson(delivery: Delivery): object {
  return {
    kind: nameOf(Delivery_Kind, delivery.kind) ?? null,
    target: delivery.target,
    state: nameOf(Delivery_State, delivery.state) ?? null,
    attempt_count: delivery.attemptCount,
    last_error: delivery.lastError === '' ? null : delivery.lastError,
    time: delivery.time ?? null,
    ...(delivery.eventId === '' ? {} : { event_id: delivery.eventId }),
  };
}
