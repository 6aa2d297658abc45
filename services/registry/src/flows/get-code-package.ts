import type { GetCodePackageRequest, GetCodePackageResponse } from '@evenfall/contracts/registry/v1/registry_service';
import { refuse } from '@evenfall/errors';
import { grantedPackage, type GrantChecker } from '@evenfall/grants';
import type { Registry } from '../ports.ts';

/** Bytes of one piece (registry_service.proto). */
const PIECE_BYTES = 1024 * 1024;
const DIGEST = /^[0-9a-f]{64}$/;
const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/**
 * Sends a code package in order to an agent that was asked to start an instance of it; others do not learn whether there is one. One that is swept
 * while it is being read ends the call: no version names it any more.
 */
export async function* getCodePackage(
  { store, packageGrants }: Registry & { readonly packageGrants: GrantChecker },
  { codeSha256, agentId, instanceId, grant }: GetCodePackageRequest,
): AsyncGenerator<GetCodePackageResponse> {
  const isNamed = DIGEST.test(codeSha256) && ID.test(agentId) && ID.test(instanceId);
  const [isGranted = false] = isNamed
    ? await packageGrants.check(agentId, [{ granted: grantedPackage(instanceId, codeSha256), grant }])
    : [false];
  if (!isGranted)
    throw refuse('NOT_GRANTED', { agent_id: agentId.slice(0, 128), what: `an instance with the package ${codeSha256.slice(0, 64)}` });
  for (let offset = 0; ; offset += PIECE_BYTES) {
    const data = await store.readCode(codeSha256, offset, PIECE_BYTES);
    if (!data) throw refuse('CODE_PACKAGE_NOT_FOUND', { sha256: codeSha256 });
    if (data.length > 0) yield { data };
    if (data.length < PIECE_BYTES) return;
  }
}
