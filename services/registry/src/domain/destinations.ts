import type { Destination, EventInvokeConfig, FunctionMessage } from '@evenfall/contracts/v1/function';

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

/** A function as it is shown: whether there are secrets, not which. */
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
