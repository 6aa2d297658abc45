import type { GetConcurrencyResponse } from '@evenfall/contracts/registry/v1/registry_service';
import type { Registry } from '../ports.ts';

/** Tells all that is reserved and provisioned, as of one moment, and the quotas of instances. */
export async function getConcurrency(registry: Registry): Promise<GetConcurrencyResponse> {
  const { reservations, provisions } = await registry.concurrency.read();
  const instanceQuotas = await registry.quotas.listInstances();
  return {
    totalMb: registry.concurrencyMb,
    reservations: reservations.map((one) => ({ ...one })),
    provisions: provisions.map(({ fn, instances }) => ({ function: fn, instances })),
    instanceQuotas,
  };
}
