import type { EventPolicy } from '@evenfall/contracts/log/v1/record';
import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { Delivery_Kind as Kind, type Delivery, Delivery_State as DeliveryState, Event_State as State } from '@evenfall/contracts/v1/event';
import type { Destination } from '@evenfall/contracts/v1/function';
import { uuidOfName } from '@evenfall/time';

/** The most deliveries that may lead from a submitted event to another event, one after the other. */
export const MAX_DEPTH = 3;

type Target = NonNullable<Destination['target']>;

/** Destination of the result of an ended event; none for a termination. */
export function destinationOf(policy: EventPolicy | undefined, state: State): Target | undefined {
  if (state === State.SUCCEEDED) return policy?.onSuccess?.target;
  return state === State.FAILED || state === State.EXPIRED ? policy?.onFailure?.target : undefined;
}

/** The destination of the pending delivery of an ended event; undefined if there is none, or the delivery is final. */
export function pendingDestination({ event, policy }: FoldedEvent): Target | undefined {
  return event?.deliveries[0]?.state === DeliveryState.PENDING ? destinationOf(policy, event.state) : undefined;
}

/** A short name of a destination: the same for all deliveries to one place. Shows nothing of a URL, which may hold secrets. */
export function destinationKey(target: Target): string {
  switch (target.$case) {
    case 'function':
      return uuidOfName('function', target.value.namespace, target.value.name, target.value.qualifier);
    case 'topic':
      return uuidOfName('topic', target.value.name);
    case 'webhook':
      return uuidOfName('webhook', target.value.url);
  }
}

/** The pending delivery of an event, as it is shown from its end on. */
export function pendingDelivery(target: Target, time: Date | undefined): Delivery {
  return { ...shownTarget(target), state: DeliveryState.PENDING, attemptCount: 0, lastError: '', time, eventId: '' };
}

function shownTarget(target: Target): Pick<Delivery, 'kind' | 'target'> {
  switch (target.$case) {
    case 'function': {
      const { namespace, name, qualifier } = target.value;
      return { kind: Kind.FUNCTION, target: `${namespace}/${name}:${qualifier}` };
    }
    case 'topic':
      return { kind: Kind.TOPIC, target: target.value.name };
    case 'webhook':
      return { kind: Kind.WEBHOOK, target: URL.canParse(target.value.url) ? new URL(target.value.url).origin : '' };
  }
}
