import { type EventInvokeConfig, FunctionMessage } from '@evenfall/contracts/v1/function';
import type { UpdateFunctionRequest, UpdateFunctionResponse } from '@evenfall/contracts/v1/function_service';
import { orThrow } from '@evenfall/errors';
import { completeSettings, destinationsRefusal } from '@evenfall/function-model';
import { replacesSecrets } from '../domain/function-secrets.ts';
import { mergeSettings } from '../domain/function-settings.ts';
import type { Registry } from '../ports.ts';
import { changeFunction } from './change-function.ts';

/**
 * Changes settings of `$LATEST`. A new handler is not looked for in the present code: a caller that renames a file has to change the settings or the
 * code first, and only the upload of code is checked.
 */
export async function updateFunction(registry: Registry, request: UpdateFunctionRequest): Promise<UpdateFunctionResponse> {
  const wanted = request.function ?? FunctionMessage.create();
  const mask = request.updateMask ?? [];
  const change = async (current: FunctionMessage): Promise<FunctionMessage | undefined> => {
    const next = { ...current, ...orThrow(completeSettings(orThrow(mergeSettings(current, wanted, mask)))) };
    // Those that stay are not judged again: what they need may have been there when they were set.
    orThrow(destinationsRefusal(changedDestinations(next.eventInvoke, mask), current.namespace, registry.destinations));
    if (isSame(current, next)) return current;
    return registry.store.replace({ ...next, updateTime: new Date(registry.clock.now()) }, undefined, '');
  };
  const updated = await changeFunction(registry, wanted, change, (current) => replacesSecrets(current, mask));
  return { function: updated };
}

function changedDestinations(config: EventInvokeConfig | undefined, mask: readonly string[]): EventInvokeConfig | undefined {
  const isNamed = (path: string): boolean => mask.some((one) => one === 'event_invoke' || one === path || one.startsWith(`${path}.`));
  return (
    config && {
      ...config,
      onSuccess: isNamed('event_invoke.on_success') ? config.onSuccess : undefined,
      onFailure: isNamed('event_invoke.on_failure') ? config.onFailure : undefined,
    }
  );
}

function isSame(a: FunctionMessage, b: FunctionMessage): boolean {
  return Buffer.from(FunctionMessage.encode(a).finish()).equals(FunctionMessage.encode(b).finish());
}
