import type { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import type { ClientOf } from '@evenfall/rpc';
import type { DestinationPorts } from '../ports.ts';

const TIMEOUT_MS = 5_000;
const MOST_REMEMBERED = 1_000;

/** Has the secrets of webhooks opened by the registry. A sealed secret never changes what is in it: it is asked for once. */
export function createWebhookSecrets(registry: ClientOf<RegistryServiceService>): DestinationPorts['webhookSecret'] {
  const remembered = new Map<string, string>();
  return async ({ url, secret, sealedSecret }) => {
    if (!sealedSecret) return secret;
    const key = `${sealedSecret.toString('base64')} ${url}`;
    const known = remembered.get(key);
    if (known !== undefined) return known;
    const opened = await registry.openWebhookSecret({ sealedSecret, url }, { timeoutMs: TIMEOUT_MS });
    if (remembered.size >= MOST_REMEMBERED) remembered.clear();
    remembered.set(key, opened.secret);
    return opened.secret;
  };
}
