import type { OpenWebhookSecretRequest, OpenWebhookSecretResponse } from '@evenfall/contracts/registry/v1/registry_service';
import { refuse } from '@evenfall/errors';
import { hasSecrets, openSecrets, sealSecrets, webhookOwner } from '../domain/function-secrets.ts';
import type { Sealing } from '../domain/sealing.ts';
import type { FunctionSecretStore, SecretRow } from '../ports.ts';

const BATCH = 200;

export type SealedCounts = { readonly sealed: number; readonly locked: number; readonly clear: number };

/**
 * Seals secrets that are in the clear, and seals anew those that were not sealed with the newest key, row by row: an interrupted run keeps its progress.
 * A row that is changed meanwhile is sealed by that change. Without a sealing key it only counts the rows in the clear.
 */
export async function sealFunctions(store: FunctionSecretStore, sealing: Sealing | undefined): Promise<SealedCounts> {
  const counts = { sealed: 0, locked: 0, clear: 0 };
  for (let after: SecretRow | undefined, more = true; more;) {
    const rows = await store.list(after, BATCH);
    after = rows.at(-1);
    more = rows.length === BATCH;
    for (const row of rows) {
      const { kept } = row;
      if (kept.sealed ? sealing?.isNewest(kept.sealed) === true : !hasSecrets(kept.fn)) continue;
      const { fn, isLocked } = openSecrets(kept, sealing);
      if (isLocked) counts.locked++;
      else if (!sealing) counts.clear++;
      else if (await store.replace(row, sealSecrets(fn, sealing))) counts.sealed++;
    }
  }
  return counts;
}

/** Opens the secret of a webhook for the queue, which signs with it. Refusals: SECRETS_NOT_READABLE. */
export function openWebhookSecret(
  sealing: Sealing | undefined,
  { sealedSecret, url }: OpenWebhookSecretRequest,
): OpenWebhookSecretResponse {
  const secret = sealing?.open(sealedSecret, webhookOwner(url));
  if (secret === undefined) throw refuse('SECRETS_NOT_READABLE', { what: 'the secret of the webhook' });
  return { secret };
}
