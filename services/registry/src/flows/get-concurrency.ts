import type { GetConcurrencyResponse } from '@evenfall/contracts/registry/v1/registry_service';
import { withSealedWebhooks } from '../domain/function-secrets.ts';
import type { Registry } from '../ports.ts';

/** Returns all reserved and provisioned concurrency as of one moment, and the quotas of instances. */
export async function getConcurrency(registry: Registry): Promise<GetConcurrencyResponse> {
  const { reservations, provisions } = await registry.concurrency.read();
  const instanceQuotas = await registry.quotas.listInstances();
  return {
    totalMb: registry.concurrencyMb,
    reservations: reservations.map((one) => ({ ...one })),
    // One whose secrets cannot be opened cannot be started.
    provisions: provisions
      .filter(({ isLocked }) => !isLocked)
      .map(({ fn, instances }) => ({ function: withSealedWebhooks(fn, registry.sealing), instances })),
    instanceQuotas,
  };
}
