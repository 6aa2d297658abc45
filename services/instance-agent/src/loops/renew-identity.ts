import type { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { superviseLoop } from '@evenfall/lifecycle';
import type { ClientOf } from '@evenfall/rpc';
import type { Log } from '@evenfall/telemetry';
import { delay } from '@evenfall/time';
import type { OwnIdentity } from '../ports.ts';

/** So much of a certificate's time may be over. */
const SHARE = 2 / 3;
const MOST_PAUSE_MS = 300_000;
const LEAST_PAUSE_MS = 500;

/** Has the certificate of an agent that has joined renewed, with a new key. The users of the files watch them: nothing is restarted. */
export function runRenewIdentity(
  own: OwnIdentity,
  registry: Pick<ClientOf<typeof RegistryServiceService>, 'renewCertificate'>,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const onFailure = (error: unknown): void => log.warn('the certificate could not be renewed; tried again', { error: String(error) });
  return superviseLoop({ name: 'renew identity', signal, onFailure, minPauseMs: 1_000, maxPauseMs: MOST_PAUSE_MS }, async () => {
    const kept = own.kept();
    if (!kept) throw new Error('there is no certificate that could be read');
    const leftMs = kept.issuedMs + (kept.expiresMs - kept.issuedMs) * SHARE - Date.now();
    if (leftMs > 0) {
      await delay(Math.min(Math.max(leftMs, LEAST_PAUSE_MS), MOST_PAUSE_MS), signal);
      return;
    }
    const { request, key } = await own.newRequest();
    const { certificate, authorities } = await registry.renewCertificate({ signingRequest: request }, { timeoutMs: 10_000 });
    own.keep({ certificate, key, ca: authorities });
    log.info('The certificate of this agent was renewed', { until: new Date(own.kept()?.expiresMs ?? 0).toISOString() });
  });
}
