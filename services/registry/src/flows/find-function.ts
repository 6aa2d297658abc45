import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { orThrow, type Refusal, refuse } from '@evenfall/errors';
import { functionNameRefusal, LATEST_NUMBER, versionNumberOf } from '@evenfall/function-model';
import type { OpenedFunction } from '../domain/function-secrets.ts';
import type { Registry } from '../ports.ts';

/** What is asked for: a function, and which version of it. */
export type FunctionName = { readonly namespace: string; readonly name: string; readonly qualifier: string };

/** The version a qualifier names now. Refusals: INVALID_NAME, FUNCTION_NOT_FOUND, QUALIFIER_NOT_FOUND. */
export async function findFunction(registry: Registry, named: FunctionName): Promise<FunctionMessage> {
  return (await findOpened(registry, named)).fn;
}

/** The same, to run it or to change it: with all its secrets. Refusals: also SECRETS_NOT_READABLE. */
export async function findWithSecrets(registry: Registry, named: FunctionName): Promise<FunctionMessage> {
  const { fn, isLocked } = await findOpened(registry, named);
  if (isLocked) throw notReadable(fn);
  return fn;
}

export function notReadable({ namespace, name }: FunctionMessage): Refusal {
  return refuse('SECRETS_NOT_READABLE', { what: `the environment of the function ${namespace}/${name}` });
}

export async function findOpened(registry: Registry, { namespace, name, qualifier }: FunctionName): Promise<OpenedFunction> {
  orThrow(functionNameRefusal(namespace, name));
  const version = versionNumberOf(qualifier);
  const { found, isLocked, exists } = await registry.store.find(namespace, name, version ?? LATEST_NUMBER);
  if (!exists) throw refuse('FUNCTION_NOT_FOUND', { namespace, function: name });
  if (!found || version === undefined) throw refuse('QUALIFIER_NOT_FOUND', { function: name, qualifier: qualifier.slice(0, 80) });
  return { fn: found, isLocked };
}
