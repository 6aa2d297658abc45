import type { StoredAccessKey, WatchAccessKeysResponse } from '@evenfall/contracts/registry/v1/registry_service';
import type {
  AccessKey,
  CreateAccessKeyRequest,
  CreateAccessKeyResponse,
  ListAccessKeysRequest,
  ListAccessKeysResponse,
  RotateAccessKeyRequest,
  RotateAccessKeyResponse,
} from '@evenfall/contracts/v1/access_key_service';
import { AccessKey as Codec } from '@evenfall/contracts/v1/access_key_service';
import { orThrow, refuse } from '@evenfall/errors';
import { PAGE_SIZES } from '@evenfall/function-model';
import { cutPage, LISTS, pageSizeOf, pageToken, readPageToken } from '@evenfall/paging';
import { digestOf, isGood, KEY_ID, MOST_KEYS, newAccessKey, newSecret, overlapMsOf } from '../domain/access-key.ts';
import type { AccessKeyRow, KeyRegistry } from '../ports.ts';

/** Keys in one message of a watch. */
const WATCH_PIECE = 500;
const MAX_TRIES = 10;

/** Makes a key; its secret is in this answer and nowhere else. */
export async function createAccessKey(registry: KeyRegistry, request: CreateAccessKeyRequest): Promise<CreateAccessKeyResponse> {
  const accessKey = orThrow(newAccessKey(request, registry.clock.now()));
  const secret = newSecret();
  const row = {
    key: accessKey,
    change: 0,
    ...secretsOf(registry, accessKey, secret),
    previousSha256: undefined,
    previousSealed: undefined,
  };
  const made = await registry.keys.insert(row, MOST_KEYS);
  if (made === 'exists') throw refuse('ACCESS_KEY_EXISTS', { key_id: accessKey.id });
  if (made === 'full') throw refuse('TOO_MANY_ACCESS_KEYS', { limit: MOST_KEYS });
  registry.keyFeed.announce(accessKey.id);
  return { accessKey, secret };
}

export async function getAccessKey(registry: KeyRegistry, id: string): Promise<AccessKey> {
  return (await findRow(registry, id)).key;
}

/** Lists keys by id. */
export async function listAccessKeys(registry: KeyRegistry, request: ListAccessKeysRequest): Promise<ListAccessKeysResponse> {
  const size = pageSizeOf(request.pageSize, PAGE_SIZES.accessKeys);
  const after = readPageToken(request.pageToken, KEY_ID, LISTS.accessKeys);
  const found = await registry.keys.list(after, size + 1);
  const { items, last } = cutPage(found, size, ({ key }) => Codec.encode(key).finish().length);
  return { accessKeys: items.map(({ key }) => key), nextPageToken: last ? pageToken(last.key.id, LISTS.accessKeys) : '' };
}

/** Gives a key a new secret; the one before may stay good for a while, so that nothing that uses it has to stop. */
export async function rotateAccessKey(registry: KeyRegistry, request: RotateAccessKeyRequest): Promise<RotateAccessKeyResponse> {
  const overlapMs = orThrow(overlapMsOf(request.overlap));
  const secret = newSecret();
  const accessKey = await changeKey(registry, request.id, (row, nowMs) => {
    if (!isGood(row.key, nowMs)) throw refuse('ACCESS_KEY_REVOKED', { key_id: row.key.id });
    const keeps = overlapMs > 0;
    return {
      ...row,
      ...secretsOf(registry, row.key, secret),
      previousSha256: keeps ? row.secretSha256 : undefined,
      previousSealed: keeps ? row.sealed : undefined,
      key: { ...row.key, rotateTime: new Date(nowMs), previousSecretExpireTime: keeps ? new Date(nowMs + overlapMs) : undefined },
    };
  });
  return { accessKey, secret };
}

/** Ends a key for good; what could be checked or opened of its secrets goes. */
export function revokeAccessKey(registry: KeyRegistry, id: string): Promise<AccessKey> {
  return changeKey(registry, id, (row, nowMs) => {
    if (row.key.revokeTime) return undefined;
    const gone = { sealed: undefined, previousSha256: undefined, previousSealed: undefined, secretSha256: Buffer.alloc(0) };
    return { ...row, ...gone, key: { ...row.key, revokeTime: new Date(nowMs), previousSecretExpireTime: undefined } };
  });
}

/** All keys that are good, then every one that changes, whichever registry changed it; ends when a change may have been missed. */
export async function* watchAccessKeys(registry: KeyRegistry, signal: AbortSignal): AsyncGenerator<WatchAccessKeysResponse> {
  for await (const id of registry.keyFeed.watch(signal)) {
    if (id !== '') {
      const row = await registry.keys.find(id);
      if (row) yield { keys: [kept(registry, row)], isComplete: false };
      continue;
    }
    // The watch is established: later changes come after what is read now.
    for (let after = '', more = true; more;) {
      const rows = await registry.keys.list(after, WATCH_PIECE);
      after = rows.at(-1)?.key.id ?? '';
      more = rows.length === WATCH_PIECE;
      const nowMs = registry.clock.now();
      yield { keys: rows.filter(({ key }) => isGood(key, nowMs)).map((row) => kept(registry, row)), isComplete: !more };
    }
  }
}

/** Seals every secret anew that was not sealed with the newest key, so that the older ones can be taken away. */
export async function sealAnew(registry: KeyRegistry): Promise<number> {
  const { sealing } = registry;
  if (!sealing) return 0;
  let count = 0;
  for (let after = '', more = true; more;) {
    const rows = await registry.keys.list(after, WATCH_PIECE);
    after = rows.at(-1)?.key.id ?? '';
    more = rows.length === WATCH_PIECE;
    for (const { key } of rows.filter(({ sealed, previousSealed }) => isOld(sealed) || isOld(previousSealed))) {
      await changeKey(registry, key.id, (row) => ({
        ...row,
        sealed: again(row.sealed, key.id),
        previousSealed: again(row.previousSealed, key.id),
      }));
      count++;
    }
  }
  return count;

  function isOld(sealed: Buffer | undefined): boolean {
    return sealed !== undefined && sealing?.isNewest(sealed) === false;
  }
  function again(sealed: Buffer | undefined, id: string): Buffer | undefined {
    const secret = sealed && sealing?.open(sealed, id);
    return secret === undefined ? sealed : sealing?.seal(secret, id);
  }
}

function secretsOf({ sealing }: KeyRegistry, key: AccessKey, secret: string): Pick<AccessKeyRow, 'secretSha256' | 'sealed'> {
  if (!key.scf) return { secretSha256: digestOf(secret), sealed: undefined };
  if (!sealing) throw refuse('SEALING_KEY_MISSING');
  return { secretSha256: digestOf(secret), sealed: sealing.seal(secret, key.id) };
}

function kept({ sealing, log }: KeyRegistry, { key, secretSha256, sealed, previousSha256, previousSealed }: AccessKeyRow): StoredAccessKey {
  const opened = (one: Buffer | undefined): string => {
    if (!one) return '';
    const secret = sealing?.open(one, key.id);
    if (secret === undefined)
      log.warn('an access key cannot sign: its secret was sealed with a key that is not in EVENFALL_SEALING_KEY', { key: key.id });
    return secret ?? '';
  };
  return {
    accessKey: key,
    secretSha256,
    scfSecret: opened(sealed),
    previousSha256: previousSha256 ?? Buffer.alloc(0),
    previousScfSecret: opened(previousSealed),
  };
}

async function findRow(registry: KeyRegistry, id: string): Promise<AccessKeyRow> {
  const row = KEY_ID.test(id) ? await registry.keys.find(id) : undefined;
  if (!row) throw refuse('ACCESS_KEY_NOT_FOUND', { key_id: id.slice(0, 80) });
  return row;
}

/** Changes a key, again if another change was faster; undefined leaves it as it is. */
async function changeKey(
  registry: KeyRegistry,
  id: string,
  change: (row: AccessKeyRow, nowMs: number) => AccessKeyRow | undefined,
): Promise<AccessKey> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const row = await findRow(registry, id);
    const next = change(row, registry.clock.now());
    if (!next) return row.key;
    if (!(await registry.keys.replace(next))) continue;
    registry.keyFeed.announce(id);
    return next.key;
  }
  throw refuse('SERVICE_UNAVAILABLE', { detail: 'too many changes of one access key at the same time' });
}
