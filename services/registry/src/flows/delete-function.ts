import type { DeleteFunctionRequest, DeleteFunctionResponse } from '@evenfall/contracts/v1/function_service';
import { orThrow, refuse } from '@evenfall/errors';
import { functionNameRefusal } from '@evenfall/function-model';
import type { Registry } from '../ports.ts';

/** Deletes a function, its versions, and the code that no other names. */
export async function deleteFunction(registry: Registry, { namespace, name }: DeleteFunctionRequest): Promise<DeleteFunctionResponse> {
  orThrow(functionNameRefusal(namespace, name));
  if (!(await registry.store.delete(namespace, name))) throw refuse('FUNCTION_NOT_FOUND', { namespace, function: name });
  registry.feed.announce(namespace, name);
  return {};
}
