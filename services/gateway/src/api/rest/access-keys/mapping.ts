import { type AccessKey, AccessKey_Role } from '@evenfall/contracts/v1/access_key_service';
import { nameOf } from '../json/enum-names.ts';
import { always } from '../json/values.ts';
import type { AccessKeyBody, NewAccessKeyBody } from './schema.ts';

export function keyJson(key: AccessKey): AccessKeyBody {
  return {
    id: key.id,
    description: key.description,
    role: always(nameOf(AccessKey_Role, key.role)),
    namespaces: key.namespaces,
    show_payloads: key.showPayloads,
    scf: key.scf,
    create_time: always(key.createTime),
    expire_time: key.expireTime ?? null,
    rotate_time: key.rotateTime ?? null,
    previous_secret_expire_time: key.previousSecretExpireTime ?? null,
    revoke_time: key.revokeTime ?? null,
  };
}

export function newKeyJson(key: AccessKey, secret: string): NewAccessKeyBody {
  return { access_key: keyJson(key), secret };
}
