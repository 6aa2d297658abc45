import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { orThrow, refuse } from '@evenfall/errors';
import { completeQualifier, functionNameRefusal } from '@evenfall/function-model';
import type { Gateway } from '../ports.ts';

/** The function version a call names, ready to run. Refusals: INVALID_NAME, FUNCTION_NOT_FOUND, QUALIFIER_NOT_FOUND, FUNCTION_HAS_NO_CODE. */
export async function runnableFunction(
  gateway: Gateway,
  named: { readonly namespace: string; readonly function: string; readonly qualifier: string },
): Promise<{ readonly fn: FunctionMessage; readonly qualifier: string }> {
  orThrow(functionNameRefusal(named.namespace, named.function));
  const qualifier = orThrow(completeQualifier(named.qualifier));
  const fn = await gateway.cache.resolve(named.namespace, named.function, qualifier);
  if (fn.codeSha256 === '') throw refuse('FUNCTION_HAS_NO_CODE', { function: fn.name });
  return { fn, qualifier };
}
