import type { Destination, FunctionMessage } from '@evenfall/contracts/v1/function';
import type { Sealing } from './sealing.ts';

/** Shown instead of a value that cannot be opened. */
export const NOT_READABLE = '(sealed with a key that is not there)';

/** A function as it is kept: without its secrets, which are beside it. */
export type StoredFunction = { readonly fn: FunctionMessage; readonly sealed: Buffer | undefined };
/** A function with its secrets; locked if they cannot be opened. */
export type OpenedFunction = { readonly fn: FunctionMessage; readonly isLocked: boolean };

type Secrets = {
  readonly environment: Readonly<Record<string, string>>;
  readonly onSuccess: string;
  readonly onFailure: string;
};

/** Takes the secrets out of a function and seals them, bound to its name. Without anything to seal with it stays as it is. */
export function sealSecrets(fn: FunctionMessage, sealing: Sealing | undefined): StoredFunction {
  if (!sealing || !hasSecrets(fn)) return { fn, sealed: undefined };
  const { environment, eventInvoke } = fn;
  const secrets: Secrets = { environment, onSuccess: secretOf(eventInvoke?.onSuccess), onFailure: secretOf(eventInvoke?.onFailure) };
  return {
    fn: withSecrets(fn, { environment: valuesOf(fn, ''), onSuccess: '', onFailure: '' }),
    sealed: sealing.seal(JSON.stringify(secrets), ownerOf(fn)),
  };
}

/** Puts the secrets of a function back. */
export function openSecrets({ fn, sealed }: StoredFunction, sealing: Sealing | undefined): OpenedFunction {
  if (!sealed) return { fn, isLocked: false };
  const opened = sealing?.open(sealed, ownerOf(fn));
  if (opened === undefined)
    return { fn: withSecrets(fn, { environment: valuesOf(fn, NOT_READABLE), onSuccess: '', onFailure: '' }), isLocked: true };
  return { fn: withSecrets(fn, JSON.parse(opened) as Secrets), isLocked: false }; // what was sealed above: the tag says so
}

/** Whether there is anything to keep secret from a reader of the database. */
export function hasSecrets({ environment, eventInvoke }: FunctionMessage): boolean {
  return Object.keys(environment).length > 0 || isWebhook(eventInvoke?.onSuccess) || isWebhook(eventInvoke?.onFailure);
}

/** Whether an update of these fields leaves nothing of what cannot be opened. */
export function replacesSecrets({ environment, eventInvoke }: FunctionMessage, mask: readonly string[]): boolean {
  const isNamed = (...paths: readonly string[]): boolean => paths.some((path) => mask.includes(path));
  return (
    (Object.keys(environment).length === 0 || isNamed('environment')) &&
    (!isWebhook(eventInvoke?.onSuccess) || isNamed('event_invoke', 'event_invoke.on_success')) &&
    (!isWebhook(eventInvoke?.onFailure) || isNamed('event_invoke', 'event_invoke.on_failure'))
  );
}

/** A function as other services get it: the secrets of its webhooks are sealed, since they go with each of its events into the log. */
export function withSealedWebhooks(fn: FunctionMessage, sealing: Sealing | undefined): FunctionMessage {
  const { eventInvoke } = fn;
  if (!sealing || !eventInvoke || !(isWebhook(eventInvoke.onSuccess) || isWebhook(eventInvoke.onFailure))) return fn;
  const sealed = (destination: Destination | undefined): Destination | undefined => {
    if (destination?.target?.$case !== 'webhook' || destination.target.value.secret === '') return destination;
    const { url, secret } = destination.target.value;
    const sealedSecret = sealing.seal(secret, webhookOwner(url));
    return { target: { $case: 'webhook', value: { url, secret: '', secretSet: false, sealedSecret } } };
  };
  return { ...fn, eventInvoke: { ...eventInvoke, onSuccess: sealed(eventInvoke.onSuccess), onFailure: sealed(eventInvoke.onFailure) } };
}

/** What the sealed secret of a webhook is bound to: it signs nothing that goes elsewhere. */
export function webhookOwner(url: string): string {
  return `webhook ${url}`;
}

function ownerOf({ namespace, name }: FunctionMessage): string {
  return `function ${namespace}/${name}`;
}

function valuesOf({ environment }: FunctionMessage, value: string): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.keys(environment).map((name) => [name, value]));
}

function withSecrets(fn: FunctionMessage, { environment, onSuccess, onFailure }: Secrets): FunctionMessage {
  const { eventInvoke } = fn;
  return {
    ...fn,
    environment: { ...environment },
    eventInvoke: eventInvoke && {
      ...eventInvoke,
      onSuccess: withSecret(eventInvoke.onSuccess, onSuccess),
      onFailure: withSecret(eventInvoke.onFailure, onFailure),
    },
  };
}

function withSecret(destination: Destination | undefined, secret: string): Destination | undefined {
  if (destination?.target?.$case !== 'webhook') return destination;
  return { target: { $case: 'webhook', value: { ...destination.target.value, secret } } };
}

function isWebhook(destination: Destination | undefined): boolean {
  return destination?.target?.$case === 'webhook';
}

function secretOf(destination: Destination | undefined): string {
  return destination?.target?.$case === 'webhook' ? destination.target.value.secret : '';
}
