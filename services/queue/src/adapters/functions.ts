import type { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { refuse } from '@evenfall/errors';
import type { ClientOf } from '@evenfall/rpc';
import type { DestinationPorts } from '../ports.ts';

const TIMEOUT_MS = 5_000;
/** How old an answer may be: a destination with a thousand deliveries a second is resolved once. */
const REMEMBERED_MS = 1_000;
const MOST_REMEMBERED = 1_000;

/** Resolves functions at the registry. */
export function createFunctionResolver(registry: ClientOf<RegistryServiceService>): DestinationPorts['resolveFunction'] {
  const remembered = new Map<string, { readonly untilMs: number; readonly asked: Promise<FunctionMessage> }>();
  const ask = async (namespace: string, name: string, qualifier: string): Promise<FunctionMessage> => {
    const { function: fn } = await registry.resolveFunction({ namespace, name, qualifier }, { timeoutMs: TIMEOUT_MS });
    if (!fn) throw refuse('FUNCTION_NOT_FOUND', { namespace, function: name });
    return fn;
  };
  return (namespace, name, qualifier) => {
    const key = `${namespace}/${name}:${qualifier}`;
    const known = remembered.get(key);
    if (known && performance.now() < known.untilMs) return known.asked;
    if (remembered.size >= MOST_REMEMBERED) remembered.clear();
    const asked = ask(namespace, name, qualifier);
    asked.catch(() => remembered.delete(key)); // a no is not remembered
    remembered.set(key, { untilMs: performance.now() + REMEMBERED_MS, asked });
    return asked;
  };
}
