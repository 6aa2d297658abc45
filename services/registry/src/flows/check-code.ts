import { orThrow } from '@evenfall/errors';
import type { FunctionSettings } from '@evenfall/function-model';
import { handlerFilesRefusal } from '../domain/code-package.ts';
import type { CodePackage, InspectedPackage, Registry } from '../ports.ts';

/**
 * Makes the check of one code package for a function, whose settings may have changed when it is asked again: the package is read through once. Refusals:
 * INVALID_CODE_PACKAGE, CODE_PACKAGE_TOO_LARGE.
 */
export function codeCheck(registry: Registry, zip: Buffer): (settings: FunctionSettings) => Promise<CodePackage> {
  let inspecting: Promise<InspectedPackage> | undefined;
  return async (settings) => {
    const inspected = await (inspecting ??= registry.inspect(zip, registry.limits));
    orThrow(handlerFilesRefusal(settings, inspected));
    return { sha256: inspected.sha256, data: inspected.data };
  };
}
