import { randomUUID } from 'node:crypto';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import type { CreateFunctionRequest, CreateFunctionResponse } from '@evenfall/contracts/v1/function_service';
import { orThrow, refuse } from '@evenfall/errors';
import { completeSettings, destinationsRefusal, functionNameRefusal } from '@evenfall/function-model';
import type { Registry } from '../ports.ts';
import { codeCheck } from './check-code.ts';

/** Creates a function, with its code if there is some: both or neither. */
export async function createFunction(registry: Registry, request: CreateFunctionRequest, keyId: string): Promise<CreateFunctionResponse> {
  const wanted = request.function ?? FunctionMessage.create();
  const { namespace, name } = wanted;
  orThrow(functionNameRefusal(namespace, name));
  const settings = orThrow(completeSettings(wanted));
  orThrow(destinationsRefusal(settings.eventInvoke, namespace, registry.destinations));
  const code = request.codeZip.length > 0 ? await codeCheck(registry, request.codeZip)(settings) : undefined;
  const now = new Date(registry.clock.now());
  const made = await registry.store.insert(
    {
      ...settings,
      namespace,
      name,
      version: '',
      revision: 0,
      codeSha256: code?.sha256 ?? '',
      codeSizeBytes: BigInt(code?.data.length ?? 0),
      createTime: now,
      updateTime: now,
      uid: randomUUID(),
    },
    code,
    keyId,
  );
  if (!made) throw refuse('FUNCTION_EXISTS', { namespace, function: name });
  registry.feed.announce(namespace, name);
  return { function: made };
}
