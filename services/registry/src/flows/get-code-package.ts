import type { GetCodePackageRequest, GetCodePackageResponse } from '@evenfall/contracts/registry/v1/registry_service';
import { refuse } from '@evenfall/errors';
import type { Registry } from '../ports.ts';

/** Bytes of one piece (registry_service.proto). */
const PIECE_BYTES = 1024 * 1024;

/** Sends a code package in order. One that is swept while it is being read ends the call: whoever asked had no version that names it. */
export async function* getCodePackage(registry: Registry, { codeSha256 }: GetCodePackageRequest): AsyncGenerator<GetCodePackageResponse> {
  for (let offset = 0; ; offset += PIECE_BYTES) {
    const data = /^[0-9a-f]{64}$/.test(codeSha256) ? await registry.store.readCode(codeSha256, offset, PIECE_BYTES) : undefined;
    if (!data) throw refuse('CODE_PACKAGE_NOT_FOUND', { sha256: codeSha256.slice(0, 80) });
    if (data.length > 0) yield { data };
    if (data.length < PIECE_BYTES) return;
  }
}
