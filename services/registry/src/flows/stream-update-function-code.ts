import type { StreamUpdateFunctionCodeRequest, StreamUpdateFunctionCodeResponse } from '@evenfall/contracts/v1/function_service';
import { refuse } from '@evenfall/errors';
import type { Registry } from '../ports.ts';
import { updateFunctionCode } from './update-function-code.ts';

/** A package of 50 MB in pieces of one byte would be as many objects. */
const MAX_PIECES = 4_096;

/**
 * Replaces the code of `$LATEST` by a package that comes in pieces, once all are there: the gateway says so by a last message that is empty. The end of the stream
 * says nothing: node sends one before it resets a stream (http2), which is what the gateway does where a caller is refused in the middle. Refusals: those of updateFunctionCode, INVALID_FIELD where the
 * messages name different functions, SERVICE_UNAVAILABLE while too many packages are under way.
 */
export async function streamUpdateFunctionCode(
  registry: Registry,
  requests: AsyncIterable<StreamUpdateFunctionCodeRequest>,
  keyId: string,
): Promise<StreamUpdateFunctionCodeResponse> {
  const { maxZipBytes } = registry.limits;
  const held = growing(maxZipBytes);
  let pieces = 0;
  let named: { readonly namespace: string; readonly name: string } | undefined;
  let bytes = 0;
  let isComplete = false;
  try {
    for await (const { namespace, name, chunk } of requests) {
      isComplete = namespace === '' && name === '' && chunk.length === 0;
      if (isComplete) continue;
      named ??= { namespace, name };
      if (namespace !== named.namespace || name !== named.name)
        throw refuse('INVALID_FIELD', { field: 'name', rule: 'every piece names the same function' });
      if (bytes + chunk.length > maxZipBytes)
        throw refuse('CODE_PACKAGE_TOO_LARGE', { detail: `more than ${maxZipBytes} bytes zipped; at most ${maxZipBytes} are taken` });
      if (++pieces > MAX_PIECES) throw refuse('INVALID_FIELD', { field: 'chunk', rule: `at most ${MAX_PIECES} pieces` });
      if (!registry.packageBytes.reserve(chunk.length))
        throw refuse('SERVICE_UNAVAILABLE', { detail: 'too many code packages are being received' });
      bytes += chunk.length;
      held.add(chunk);
    }
    if (!named) throw refuse('INVALID_FIELD', { field: 'chunk', rule: 'there must be at least one piece' });
    if (!isComplete) throw refuse('CANCELLED');
    return await updateFunctionCode(registry, { ...named, codeZip: held.all() }, keyId);
  } finally {
    registry.packageBytes.release(bytes);
  }
}

/**
 * Puts pieces one behind the other as they come: put together in the end they would hold the event loop for 30 ms. In memory of its own, which the thread
 * that looks at the package takes over.
 */
function growing(mostBytes: number): { add(piece: Buffer): void; all(): Buffer } {
  let room = Buffer.alloc(0);
  let bytes = 0;
  return {
    add(piece) {
      if (bytes + piece.length > room.length) {
        const larger = Buffer.allocUnsafeSlow(bytes === 0 ? piece.length : mostBytes); // what is not written to costs nothing
        room.copy(larger, 0, 0, bytes);
        room = larger;
      }
      bytes += piece.copy(room, bytes);
    },
    all: () => room.subarray(0, bytes),
  };
}
