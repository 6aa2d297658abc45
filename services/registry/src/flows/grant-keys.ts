import type { GetGrantKeysResponse } from '@evenfall/contracts/registry/v1/registry_service';
import { newUuidV7 } from '@evenfall/time';
import { KEPT_MS, newGrantKey, openGrantKey, ownerOf, SIGNS_MS } from '../domain/grant-key.ts';
import type { KeyRegistry } from '../ports.ts';

/**
 * The keys that sign what is given to agents, the newest first; makes one where none is new enough. Two registries may make one each at the same
 * time: both are good.
 */
export async function getGrantKeys({ grantKeys, sealing, clock, log }: KeyRegistry): Promise<GetGrantKeysResponse> {
  const nowMs = clock.now();
  const rows = await grantKeys.list();
  const keys: Buffer[] = [];
  let newestMs = -Infinity;
  let closed = 0;
  for (const row of rows) {
    const key = openGrantKey(row, sealing);
    if (key) {
      keys.push(key);
      newestMs = Math.max(newestMs, row.createTime.getTime());
    } else closed++;
  }
  if (closed > 0)
    log.warn('keys of grants were sealed with a key that is not in EVENFALL_SEALING_KEY: grants that they signed are refused', {
      keys: closed,
    });
  if (newestMs > nowMs - SIGNS_MS) return { keys };
  const made = newGrantKey(newUuidV7(), nowMs, sealing);
  await grantKeys.insert(made, new Date(nowMs - KEPT_MS));
  return { keys: [openGrantKey(made, sealing) ?? Buffer.alloc(0), ...keys] };
}

/** Seals every key that is in the clear, or was not sealed with the newest sealing key. */
export async function sealGrantKeys({ grantKeys, sealing }: KeyRegistry): Promise<number> {
  if (!sealing) return 0;
  let count = 0;
  for (const row of await grantKeys.list()) {
    if (row.isSealed && sealing.isNewest(row.secret)) continue;
    const key = openGrantKey(row, sealing);
    if (!key) continue;
    await grantKeys.reseal({ id: row.id, secret: sealing.seal(key.toString('base64'), ownerOf(row.id)) });
    count++;
  }
  return count;
}
