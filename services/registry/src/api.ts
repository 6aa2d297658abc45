import type { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import type { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import type { Implementation } from '@evenfall/rpc';
import { createFunction } from './flows/create-function.ts';
import { deleteFunction } from './flows/delete-function.ts';
import { findFunction } from './flows/find-function.ts';
import { getCodePackage } from './flows/get-code-package.ts';
import { listFunctions, listFunctionVersions } from './flows/list-functions.ts';
import { publishFunctionVersion } from './flows/publish-function-version.ts';
import { updateFunction } from './flows/update-function.ts';
import { updateFunctionCode } from './flows/update-function-code.ts';
import type { Registry } from './ports.ts';

/** What everybody may ask, through the gateway. */
export function functionService(registry: Registry): Implementation<typeof FunctionServiceService> {
  return {
    createFunction: (request) => createFunction(registry, request),
    getFunction: async (request) => ({ function: await findFunction(registry, request) }),
    listFunctions: (request) => listFunctions(registry, request),
    updateFunction: (request) => updateFunction(registry, request),
    updateFunctionCode: (request) => updateFunctionCode(registry, request),
    deleteFunction: (request) => deleteFunction(registry, request),
    publishFunctionVersion: (request) => publishFunctionVersion(registry, request),
    listFunctionVersions: (request) => listFunctionVersions(registry, request),
  };
}

/** What the other services ask. */
export function registryService(registry: Registry): Implementation<typeof RegistryServiceService> {
  return {
    resolveFunction: async (request) => ({ function: await findFunction(registry, request) }),
    getCodePackage: (request) => getCodePackage(registry, request),
    watchFunctions: (_request, { signal }) => registry.feed.watch(signal),
  };
}
