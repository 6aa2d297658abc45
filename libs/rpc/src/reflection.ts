import {
  ServerReflectionService,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from '@evenfall/contracts/grpc/reflection/v1/reflection';
import { ServerReflectionService as OlderServerReflectionService } from '@evenfall/contracts/grpc/reflection/v1alpha/reflection';
import { GRPC_CODES } from '@evenfall/errors';
import { bind, type BoundService } from './contract.ts';
import { type FileIndex, indexFiles } from './file-index.ts';

type Answer = NonNullable<ServerReflectionResponse['messageResponse']>;

/**
 * Server reflection, in both versions that clients speak (grpc/grpc, doc/server-reflection.md). Shown are the packages of the given services,
 * and what their files import; the files are those of the descriptor set, byte for byte.
 */
export function reflectionServices(image: Uint8Array, services: readonly string[]): BoundService[] {
  const packages = new Set(services.map((name) => name.slice(0, name.lastIndexOf('.'))));
  const index = indexFiles(image, packages);
  for (const name of services) if (index.fileOfSymbol(name) === undefined) throw new Error(`The descriptor set has no service ${name}.`);
  async function* serverReflectionInfo(requests: AsyncIterable<ServerReflectionRequest>): AsyncGenerator<ServerReflectionResponse> {
    for await (const request of requests)
      yield { validHost: request.host, originalRequest: request, messageResponse: answerOf(index, services, request.messageRequest) };
  }
  return [bind(ServerReflectionService, { serverReflectionInfo }), bind(OlderServerReflectionService, { serverReflectionInfo })];
}

function answerOf(index: FileIndex, services: readonly string[], asked: ServerReflectionRequest['messageRequest']): Answer {
  switch (asked?.$case) {
    case 'fileByFilename':
      return filesAnswer(index, asked.value, 'file');
    case 'fileContainingSymbol':
      return filesAnswer(index, index.fileOfSymbol(asked.value), 'symbol');
    case 'fileContainingExtension':
      return filesAnswer(index, index.fileOfExtension(asked.value.containingType, asked.value.extensionNumber), 'extension');
    case 'allExtensionNumbersOfType': {
      const numbers = index.extensionNumbers(asked.value);
      if (!numbers) return failure('NOT_FOUND', 'There is no such message.');
      return { $case: 'allExtensionNumbersResponse', value: { baseTypeName: asked.value, extensionNumber: [...numbers] } };
    }
    case 'listServices':
      return { $case: 'listServicesResponse', value: { service: services.map((name) => ({ name })) } };
    case undefined:
      return failure('INVALID_ARGUMENT', 'The request asks for nothing.');
  }
}

function filesAnswer(index: FileIndex, fileName: string | undefined, kind: string): Answer {
  const files = fileName === undefined ? undefined : index.withImports(fileName);
  if (!files) return failure('NOT_FOUND', `There is no such ${kind}.`);
  return { $case: 'fileDescriptorResponse', value: { fileDescriptorProto: files.map((file) => Buffer.from(file)) } };
}

function failure(code: 'NOT_FOUND' | 'INVALID_ARGUMENT', errorMessage: string): Answer {
  return { $case: 'errorResponse', value: { errorCode: GRPC_CODES[code], errorMessage } };
}
