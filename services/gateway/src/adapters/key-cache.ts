import { createHash } from 'node:crypto';
import { type Access, ADMIN_OF_ALL, ANONYMOUS, type Role } from '@evenfall/access';
import type { StoredAccessKey } from '@evenfall/contracts/registry/v1/registry_service';
import { AccessKey_Role } from '@evenfall/contracts/v1/access_key_service';
import { superviseLoop } from '@evenfall/lifecycle';
import type { Clock } from '@evenfall/time';
import type { GatewayPorts, HeldKey, HeldSecret, KeyRing } from '../ports.ts';

const ROLE_OF: Readonly<Record<number, Role>> = {
  [AccessKey_Role.ADMIN]: 'admin',
  [AccessKey_Role.OPERATOR]: 'operator',
  [AccessKey_Role.DEPLOYER]: 'deployer',
  [AccessKey_Role.INVOKER]: 'invoker',
  [AccessKey_Role.VIEWER]: 'viewer',
};

/** How often the keys of open streams are checked for their end. */
const LOOK_MS = 1_000;
/** Shown by `/readyz`. */
const CUT_OFF_NOTE =
  'the registry has not been reached for longer than EVENFALL_ACCESS_KEYS_MAX_AGE: its access keys are refused as not to be looked up, those of the settings work';

/**
 * Holds the keys of the settings and those of the registry. When its watch breaks, known keys stay valid for `maxAgeMs`, since a key may be
 * revoked meanwhile, and an unknown key may be a new one; the next watch begins with all keys.
 */
export function createKeyCache(
  ports: Pick<GatewayPorts, 'registry' | 'log'>,
  own: readonly { readonly id: string; readonly secret: string }[],
  clock: Clock,
  maxAgeMs: number,
): KeyRing & { note(): string | undefined; run(signal: AbortSignal): Promise<void> } {
  const ownKeys = new Map(own.map(({ id, secret }) => [id, ownKey(id, secret)]));
  let known = new Map<string, HeldKey>();
  let isWatching = false;
  let brokenMs = -Infinity; // monotonic
  const isCurrent = (): boolean => isWatching || clock.monotonic() - brokenMs <= maxAgeMs;
  const findKnown = (id: string): HeldKey | undefined => (isCurrent() ? known.get(id) : undefined);
  // Of secrets that have streams open, or had, by id and digest.
  const ends = new Map<string, { readonly id: string; readonly sha256: Buffer; readonly controller: AbortController }>();
  const digests = new WeakMap<Access, Buffer>();
  const isGood = (id: string, sha256: Buffer): boolean => {
    const [held, now] = [findKnown(id), clock.now()];
    return held !== undefined && held.untilMs > now && held.secrets.some((one) => one.untilMs > now && one.sha256.equals(sha256));
  };
  const endRevoked = (): void => {
    for (const [name, { id, sha256, controller }] of ends) {
      if (isGood(id, sha256)) continue;
      controller.abort();
      ends.delete(name);
    }
  };

  return {
    get isWatching() {
      return isWatching;
    },
    find: (id) => ownKeys.get(id) ?? findKnown(id),
    note: () => (isCurrent() || brokenMs === -Infinity ? undefined : CUT_OFF_NOTE),
    isOwn: (id) => ownKeys.has(id),
    endOf(access) {
      const { id } = access;
      if (ownKeys.has(id) || id === ANONYMOUS) return undefined;
      const sha256 = digests.get(access);
      if (!sha256 || !isGood(id, sha256)) return AbortSignal.abort(); // it was let in a moment ago
      const name = `${id} ${sha256.toString('base64')}`;
      let end = ends.get(name);
      if (!end) ends.set(name, (end = { id, sha256, controller: new AbortController() }));
      return end.controller.signal;
    },
    async run(signal) {
      const looking = setInterval(endRevoked, LOOK_MS);
      looking.unref();
      await superviseLoop(
        {
          name: 'watch access keys',
          signal,
          onFailure: (error) => ports.log.warn('the watch of access keys broke', { error: String(error) }),
        },
        async () => {
          const first = new Map<string, HeldKey>();
          try {
            for await (const { keys, isComplete } of ports.registry.watchAccessKeys({}, { signal })) {
              for (const kept of keys) apply(isWatching ? known : first, kept, digests);
              if (isComplete) {
                known = first;
                isWatching = true;
              }
              if (isWatching) endRevoked();
            }
          } finally {
            if (isWatching) brokenMs = clock.monotonic();
            isWatching = false;
          }
          if (!signal.aborted) throw new Error('the registry ended the watch');
        },
      );
      clearInterval(looking);
    },
  };
}

function ownKey(id: string, secret: string): HeldKey {
  const sha256 = createHash('sha256').update(secret).digest();
  return { untilMs: Infinity, secrets: [{ sha256, scf: secret, untilMs: Infinity, access: { id, ...ADMIN_OF_ALL } }] };
}

/** Applies a change of one key; `digests` are of the secrets that give an access. */
function apply(keys: Map<string, HeldKey>, kept: StoredAccessKey, digests: WeakMap<Access, Buffer>): void {
  const id = kept.accessKey?.id ?? '';
  const held = heldKey(kept);
  if (held) keys.set(id, held);
  else keys.delete(id);
  for (const { access, sha256 } of held?.secrets ?? []) digests.set(access, sha256);
}

/** The key as it is held; undefined for one that is of no use: revoked, or of a role that is not known here. */
function heldKey({ accessKey: key, secretSha256, scfSecret, previousSha256, previousScfSecret }: StoredAccessKey): HeldKey | undefined {
  const role = key && ROLE_OF[key.role];
  if (!key || !role || key.revokeTime || secretSha256.length === 0) return undefined;
  const previousUntil = key.previousSecretExpireTime?.getTime();
  const namespaces = key.namespaces.includes('*') ? 'all' : new Set(key.namespaces);
  const access: Access = { id: key.id, grants: [{ role, namespaces, showsPayloads: key.showPayloads }] };
  const secret = (sha256: Buffer, scf: string, untilMs: number): HeldSecret => ({
    sha256: Buffer.from(sha256),
    scf: scf || undefined,
    untilMs,
    access: { ...access },
  });
  const hasPrevious = previousUntil !== undefined && previousSha256.length > 0;
  return {
    untilMs: key.expireTime?.getTime() ?? Infinity,
    secrets: [
      secret(secretSha256, scfSecret, Infinity),
      ...(hasPrevious ? [secret(previousSha256, previousScfSecret, previousUntil)] : []),
    ],
  };
}
