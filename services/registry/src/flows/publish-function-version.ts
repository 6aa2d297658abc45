import type { PublishFunctionVersionRequest, PublishFunctionVersionResponse } from '@evenfall/contracts/v1/function_service';
import { orThrow, refuse } from '@evenfall/errors';
import { descriptionRefusal } from '@evenfall/function-model';
import type { Registry } from '../ports.ts';
import { changeFunction } from './change-function.ts';

/** Publishes `$LATEST` as the next numbered version, which never changes. */
export async function publishFunctionVersion(
  registry: Registry,
  request: PublishFunctionVersionRequest,
  keyId: string,
): Promise<PublishFunctionVersionResponse> {
  orThrow(descriptionRefusal(request.description));
  const published = await changeFunction(registry, request, async (latest) => {
    if (latest.codeSha256 === '') throw refuse('FUNCTION_HAS_NO_CODE', { function: latest.name });
    const now = new Date(registry.clock.now());
    const description = request.description || latest.description;
    return registry.store.publish({ ...latest, description, createTime: now, updateTime: now }, keyId);
  });
  return { function: published };
}
