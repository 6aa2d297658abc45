import type { Destination, EventInvokeConfig } from '@evenfall/contracts/v1/function';
import { invalidField, type Refusal } from '@evenfall/errors';
import { TEXT_LIMITS } from './limits.ts';
import { functionNameRefusal, LATEST, versionNumberOf } from './names.ts';

/** What the platform has and allows, as far as destinations go. */
export type DestinationRules = {
  /** Topic of the event log; undefined without Kafka. */
  readonly kafkaTopic: string | undefined;
  /** Whether webhooks may go to private addresses, and over plain HTTP to this machine. */
  readonly allowPrivateWebhooks: boolean;
};

const TOPIC = /^(?!\.{1,2}$|__)[\w.-]{1,249}$/;
const SECRET = /^[\x20-\x7e]{16,256}$/;
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** Why nothing could ever be delivered to a destination: INVALID_NAME, INVALID_FIELD. Whether a function or a topic exists is found out at delivery. */
export function destinationsRefusal(
  config: EventInvokeConfig | undefined,
  ownNamespace: string,
  rules: DestinationRules,
): Refusal | undefined {
  return (
    destinationRefusal('event_invoke.on_success', config?.onSuccess, ownNamespace, rules) ??
    destinationRefusal('event_invoke.on_failure', config?.onFailure, ownNamespace, rules)
  );
}

function destinationRefusal(
  field: string,
  destination: Destination | undefined,
  ownNamespace: string,
  rules: DestinationRules,
): Refusal | undefined {
  if (!destination) return undefined;
  const { target } = destination;
  switch (target?.$case) {
    case 'function': {
      const { namespace, name, qualifier } = target.value;
      const isVersion = versionNumberOf(qualifier) !== undefined;
      return (
        functionNameRefusal(namespace || ownNamespace, name) ??
        (isVersion ? undefined : invalidField(`${field}.function`, 'its qualifier is "$LATEST" or the number of a version'))
      );
    }
    case 'topic':
      return topicRefusal(`${field}.topic`, target.value.name, rules);
    case 'webhook':
      if (!SECRET.test(target.value.secret)) return invalidField(`${field}.webhook.secret`, '16 to 256 printable ASCII characters');
      return urlRefusal(`${field}.webhook.url`, target.value.url, rules);
    case undefined:
      return invalidField(field, 'one of function, topic and webhook');
  }
}

function topicRefusal(field: string, name: string, { kafkaTopic }: DestinationRules): Refusal | undefined {
  if (!TOPIC.test(name)) return invalidField(field, '1 to 249 letters, digits, ".", "_" and "-", not beginning with "__"');
  if (kafkaTopic === undefined) return invalidField(field, 'this platform has no Kafka: its operator has not set EVENFALL_KAFKA_BROKERS');
  return name === kafkaTopic ? invalidField(field, 'not the topic of the event log') : undefined;
}

/** Where the name leads is looked at when a connection is made: it may lead elsewhere by then. */
function urlRefusal(field: string, text: string, { allowPrivateWebhooks }: DestinationRules): Refusal | undefined {
  const most = TEXT_LIMITS.webhookUrl;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || text.length > most || url.hostname === '') return invalidField(field, `an absolute URL of at most ${most} characters`);
  if (url.username !== '' || url.password !== '')
    return invalidField(field, 'no user name or password in it: requests are signed with the secret');
  const isPlainAllowed = allowPrivateWebhooks && url.protocol === 'http:' && LOOPBACK.test(url.hostname);
  return url.protocol === 'https:' || isPlainAllowed ? undefined : invalidField(field, 'a URL that begins with "https://"');
}

/** A destination as it is stored: what only answers show is not part of it. */
export function storedDestination(given: Destination | undefined): Destination | undefined {
  if (given?.target?.$case !== 'webhook') return given;
  const { url, secret } = given.target.value;
  return { target: { $case: 'webhook', value: { url, secret, secretSet: false } } };
}

/** A destination whose function is named in full. */
export function completeDestination(destination: Destination | undefined, ownNamespace: string): Destination | undefined {
  if (destination?.target?.$case !== 'function') return destination;
  const { namespace, name, qualifier } = destination.target.value;
  return { target: { $case: 'function', value: { namespace: namespace || ownNamespace, name, qualifier: qualifier || LATEST } } };
}
