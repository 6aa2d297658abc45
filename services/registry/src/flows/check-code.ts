import { createHash } from 'node:crypto';
import { checkHandlerFiles } from '../domain/code-package.ts';
import type { FunctionSettings } from '../domain/function-settings.ts';
import type { CodePackage, Registry } from '../ports.ts';

/** Inspects a code package for a function. Refusals: INVALID_CODE_PACKAGE, CODE_PACKAGE_TOO_LARGE. */
export async function checkCode(registry: Registry, settings: FunctionSettings, zip: Buffer): Promise<CodePackage> {
  checkHandlerFiles(settings, await registry.inspect(zip, registry.limits));
  return { sha256: createHash('sha256').update(zip).digest('hex'), data: zip };
}
