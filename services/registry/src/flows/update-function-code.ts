import type { UpdateFunctionCodeRequest, UpdateFunctionCodeResponse } from '@evenfall/contracts/v1/function_service';
import type { Registry } from '../ports.ts';
import { changeFunction } from './change-function.ts';
import { codeCheck } from './check-code.ts';

/** Replaces the code of `$LATEST`. The same code again changes nothing. */
export async function updateFunctionCode(
  registry: Registry,
  request: UpdateFunctionCodeRequest,
  keyId: string,
): Promise<UpdateFunctionCodeResponse> {
  const check = codeCheck(registry, request.codeZip);
  const updated = await changeFunction(registry, request, async (current) => {
    const code = await check(current);
    if (code.sha256 === current.codeSha256) return current;
    const codeSizeBytes = BigInt(code.data.length);
    const updateTime = new Date(registry.clock.now());
    return registry.store.replace({ ...current, codeSha256: code.sha256, codeSizeBytes, updateTime }, code, keyId);
  });
  return { function: updated };
}
