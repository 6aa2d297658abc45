import type { Destination, EventInvokeConfig, FunctionMessage } from '@evenfall/contracts/v1/function';
import { invalid } from './fields.ts';
import { checkNames, versionNumberOf } from './names.ts';

/** What the platform has and allows, as far as destinations go. */
export type DestinationRules = {
  /** Topic of the event log; undefined without Kafka. */
  readonly kafkaTopic: string | undefined;
  /** Whether webhooks may go to private addresses, and over plain HTTP to this machine. */
  readonly allowPrivateWebhooks: boolean;
};

const TOPIC = /^(?!\.{1,2}$|__)[\w.-]{1,249}$/;
const MAX_URL = 2_048;
const SECRET = /^[\x20-\x7e]{16,256}$/;
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** Refuses destinations that could never be told. Whether a function or a topic exists is looked at when it is told. */
export function checkDestinations(config: EventInvokeConfig | undefined, ownNamespace: string, rules: DestinationRules): void {
  checkDestination('event_invoke.on_success', config?.onSuccess, ownNamespace, rules);
  checkDestination('event_invoke.on_failure', config?.onFailure, ownNamespace, rules);
}

function checkDestination(field: string, destination: Destination | undefined, ownNamespace: string, rules: DestinationRules): void {
  if (!destination) return;
  const { target } = destination;
  switch (target?.$case) {
    case 'function': {
      const { namespace, name, qualifier } = target.value;
      checkNames(namespace || ownNamespace, name);
      if (versionNumberOf(qualifier) === undefined)
        throw invalid(`${field}.function`, 'its qualifier is "$LATEST" or the number of a version');
      return;
    }
    case 'topic':
      return checkTopic(`${field}.topic`, target.value.name, rules);
    case 'webhook':
      if (!SECRET.test(target.value.secret)) throw invalid(`${field}.webhook.secret`, '16 to 256 printable ASCII characters');
      return checkUrl(`${field}.webhook.url`, target.value.url, rules);
    case undefined:
      throw invalid(field, 'one of function, topic and webhook');
  }
}

function checkTopic(field: string, name: string, { kafkaTopic }: DestinationRules): void {
  if (!TOPIC.test(name)) throw invalid(field, '1 to 249 letters, digits, ".", "_" and "-", not beginning with "__"');
  if (kafkaTopic === undefined) throw invalid(field, 'this platform has no Kafka: its operator has not set EVENFALL_KAFKA_BROKERS');
  if (name === kafkaTopic) throw invalid(field, 'not the topic of the event log');
}

/** Where the name leads is looked at when a connection is made: it may lead elsewhere by then. */
function checkUrl(field: string, text: string, { allowPrivateWebhooks }: DestinationRules): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || text.length > MAX_URL || url.hostname === '') throw invalid(field, `an absolute URL of at most ${MAX_URL} characters`);
  if (url.username !== '' || url.password !== '')
    throw invalid(field, 'no user name or password in it: requests are signed with the secret');
  const isPlainAllowed = allowPrivateWebhooks && url.protocol === 'http:' && LOOPBACK.test(url.hostname);
  if (url.protocol !== 'https:' && !isPlainAllowed) throw invalid(field, 'a URL that begins with "https://"');
}

/** Puts the secrets back that a caller left out because no answer shows them: of a URL that stays the same. */
export function keepSecrets(current: EventInvokeConfig | undefined, wanted: EventInvokeConfig | undefined): EventInvokeConfig | undefined {
  return (
    wanted && {
      ...wanted,
      onSuccess: keepSecret(current?.onSuccess, wanted.onSuccess),
      onFailure: keepSecret(current?.onFailure, wanted.onFailure),
    }
  );
}

function keepSecret(current: Destination | undefined, wanted: Destination | undefined): Destination | undefined {
  const [before, after] = [current?.target, wanted?.target];
  if (before?.$case !== 'webhook' || after?.$case !== 'webhook') return wanted;
  if (after.value.secret !== '' || before.value.url !== after.value.url) return wanted;
  return { target: { $case: 'webhook', value: { ...after.value, secret: before.value.secret } } };
}

/** A destination as it is kept: what only answers say is not part of it. */
export function storedDestination(given: Destination | undefined): Destination | undefined {
  if (given?.target?.$case !== 'webhook') return given;
  const { url, secret } = given.target.value;
  return { target: { $case: 'webhook', value: { url, secret, secretSet: false } } };
}

/** A function as anybody may see it: whether there are secrets, not which. */
export function withoutSecrets(fn: FunctionMessage): FunctionMessage {
  const { eventInvoke } = fn;
  if (!eventInvoke?.onSuccess && !eventInvoke?.onFailure) return fn;
  return { ...fn, eventInvoke: { ...eventInvoke, onSuccess: shown(eventInvoke.onSuccess), onFailure: shown(eventInvoke.onFailure) } };
}

function shown(destination: Destination | undefined): Destination | undefined {
  if (destination?.target?.$case !== 'webhook') return destination;
  const { url, secret } = destination.target.value;
  return { target: { $case: 'webhook', value: { url, secret: '', secretSet: secret !== '' } } };
}
