import type { FunctionServiceService, StreamUpdateFunctionCodeRequest } from '@evenfall/contracts/v1/function_service';
import { invalidField, orThrow } from '@evenfall/errors';
import type { ClientOf } from '@evenfall/rpc';
import { completeQualifier, functionNameRefusal, namespaceRefusal, PAGE_SIZES } from '@evenfall/function-model';
import { pageSizeOf } from '@evenfall/paging';
import { TIMEOUTS_MS } from '../domain/timeouts.ts';
import type { Gateway } from '../ports.ts';
import { withFirst } from './first-message.ts';
import { provisionedStatus } from './provisioned-status.ts';

/** Operations on functions. The registry checks settings; here names are checked, and the cached function is dropped. */
export type FunctionFlows = {
  readonly [K in keyof ClientOf<typeof FunctionServiceService>]: (
    request: Parameters<ClientOf<typeof FunctionServiceService>[K]>[0],
  ) => ReturnType<ClientOf<typeof FunctionServiceService>[K]>;
};

/**
 * Makes the scheduler read the function again, so that instances that start after a change was answered run the new code. A scheduler that cannot be
 * reached is notified by the registry's watch.
 */
async function notifyScheduler({ scheduler, log }: Gateway, namespace: string, name: string): Promise<void> {
  try {
    await scheduler.noteFunctionChange({ namespace, name }, { timeoutMs: TIMEOUTS_MS.noteChange });
  } catch (error) {
    log.warn('the scheduler could not be notified of a change; the watch of the registry will notify it', {
      namespace,
      function: name,
      error: String(error),
    });
  }
}

export function functionFlows(gateway: Gateway): FunctionFlows {
  const { functions, cache } = gateway;
  const change = { timeoutMs: TIMEOUTS_MS.change };
  const read = { timeoutMs: TIMEOUTS_MS.read };
  /** Runs a change; this gateway sees it in its next call, others once the watch notifies them. */
  const changing = async <T>(namespace: string, name: string, run: () => Promise<T>): Promise<T> => {
    orThrow(functionNameRefusal(namespace, name));
    try {
      return await run();
    } finally {
      cache.forget(namespace, name); // a change that seems to have failed may have happened
      await notifyScheduler(gateway, namespace, name);
    }
  };
  return {
    createFunction: (request) =>
      changing(request.function?.namespace ?? '', request.function?.name ?? '', () => functions.createFunction(request, change)),
    getFunction: async (request) => {
      orThrow(functionNameRefusal(request.namespace, request.name));
      return functions.getFunction({ ...request, qualifier: orThrow(completeQualifier(request.qualifier)) }, read);
    },
    listFunctions: async (request) => {
      orThrow(namespaceRefusal(request.namespace));
      return functions.listFunctions({ ...request, pageSize: pageSizeOf(request.pageSize, PAGE_SIZES.functions) }, read);
    },
    updateFunction: (request) =>
      changing(request.function?.namespace ?? '', request.function?.name ?? '', () => functions.updateFunction(request, change)),
    updateFunctionCode: (request) => changing(request.namespace, request.name, () => functions.updateFunctionCode(request, change)),
    streamUpdateFunctionCode: async (requests) => {
      const { first, all } = await withFirst(requests);
      return changing(first?.namespace ?? '', first?.name ?? '', () => functions.streamUpdateFunctionCode(toTheirEnd(all), change));
    },
    deleteFunction: (request) => changing(request.namespace, request.name, () => functions.deleteFunction(request, change)),
    putReservedConcurrency: (request) => changing(request.namespace, request.name, () => functions.putReservedConcurrency(request, change)),
    getReservedConcurrency: async (request) => {
      orThrow(functionNameRefusal(request.namespace, request.name));
      return functions.getReservedConcurrency(request, read);
    },
    deleteReservedConcurrency: (request) =>
      changing(request.namespace, request.name, () => functions.deleteReservedConcurrency(request, change)),
    putProvisionedConcurrency: async (request) => {
      const answer = await changing(request.namespace, request.name, () =>
        functions.putProvisionedConcurrency({ ...request, qualifier: orThrow(completeQualifier(request.qualifier)) }, change),
      );
      const [status] = await provisionedStatus(gateway, request, answer.provisionedConcurrency ? [answer.provisionedConcurrency] : []);
      return { provisionedConcurrency: status };
    },
    getProvisionedConcurrency: async (request) => {
      orThrow(functionNameRefusal(request.namespace, request.name));
      const answer = await functions.getProvisionedConcurrency(request, read);
      return { ...answer, versions: await provisionedStatus(gateway, request, answer.versions) };
    },
    deleteProvisionedConcurrency: (request) =>
      changing(request.namespace, request.name, () =>
        functions.deleteProvisionedConcurrency({ ...request, qualifier: orThrow(completeQualifier(request.qualifier)) }, change),
      ),
    publishFunctionVersion: (request) => changing(request.namespace, request.name, () => functions.publishFunctionVersion(request, change)),
    listFunctionVersions: async (request) => {
      orThrow(functionNameRefusal(request.namespace, request.name));
      return functions.listFunctionVersions({ ...request, pageSize: pageSizeOf(request.pageSize, PAGE_SIZES.functionVersions) }, read);
    },
  };
}

/** Pieces of code, and after them an empty piece, which marks their end: the end of the stream alone could be that of a failed one. */
async function* toTheirEnd(pieces: AsyncIterable<StreamUpdateFunctionCodeRequest>): AsyncGenerator<StreamUpdateFunctionCodeRequest> {
  for await (const piece of pieces) {
    if (piece.name === '') throw invalidField('name', 'every piece names the same function');
    yield piece;
  }
  yield { namespace: '', name: '', chunk: Buffer.alloc(0) };
}
