import { createHash } from 'node:crypto';
import type { StoredAccessKey } from '@evenfall/contracts/registry/v1/registry_service';
import { AccessKey, AccessKey_Role } from '@evenfall/contracts/v1/access_key_service';

const SECRET = 'a-secret-of-a-kept-key';

/** A key as the registry sends it. */
export function keptKey(key: Partial<AccessKey> & { readonly id: string }, secret: string = SECRET): StoredAccessKey {
  return {
    accessKey: { ...AccessKey.create(), role: AccessKey_Role.VIEWER, namespaces: ['*'], ...key },
    secretSha256: createHash('sha256').update(secret).digest(),
    scfSecret: key.scf === true ? secret : '',
    previousSha256: Buffer.alloc(0),
    previousScfSecret: '',
  };
}

/** What a caller who has it sends. */
export function bearerOf(id: string, secret: string = SECRET): { readonly authorization: string } {
  return { authorization: `Bearer ${id}:${secret}` };
}

/** The same as a key that signs. */
export function signingKey(id: string): { readonly id: string; readonly secret: string } {
  return { id, secret: SECRET };
}
