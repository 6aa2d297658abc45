import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { refuse } from '@evenfall/errors';
import { checkNames, LATEST_NUMBER, versionNumberOf } from '../domain/names.ts';
import type { Registry } from '../ports.ts';

/** What is asked for: a function, and which version of it. */
export type FunctionName = { readonly namespace: string; readonly name: string; readonly qualifier: string };

/** The version a qualifier names now. Refusals: INVALID_NAME, FUNCTION_NOT_FOUND, QUALIFIER_NOT_FOUND. */
export async function findFunction(registry: Registry, { namespace, name, qualifier }: FunctionName): Promise<FunctionMessage> {
  checkNames(namespace, name);
  const version = versionNumberOf(qualifier);
  const { found, exists } = await registry.store.find(namespace, name, version ?? LATEST_NUMBER);
  if (!exists) throw refuse('FUNCTION_NOT_FOUND', { namespace, function: name });
  if (!found || version === undefined) throw refuse('QUALIFIER_NOT_FOUND', { function: name, qualifier: qualifier.slice(0, 80) });
  return found;
}
