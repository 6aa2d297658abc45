import type { GetConcurrencyResponse } from '@evenfall/contracts/registry/v1/registry_service';
import { TIMEOUTS_MS } from '../domain/timeouts.ts';
import type { Gateway } from '../ports.ts';

/** Gets everything that is reserved and provisioned. */
export function getConcurrency(gateway: Gateway): Promise<GetConcurrencyResponse> {
  return gateway.registry.getConcurrency({}, { timeoutMs: TIMEOUTS_MS.read });
}
