import { type ProvisionedConcurrency, ProvisionedConcurrency_State as State } from '@evenfall/contracts/v1/function_service';
import { TIMEOUTS_MS } from '../domain/timeouts.ts';
import type { Gateway } from '../ports.ts';

/** The requested instances, of the registry, with those that exist, of the scheduler. */
export async function provisionedStatus(
  gateway: Gateway,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  wanted: readonly ProvisionedConcurrency[],
): Promise<ProvisionedConcurrency[]> {
  if (wanted.length === 0) return [];
  const versions = wanted.map(({ version }) => version);
  const { versions: found } = await gateway.scheduler.getProvisioned({ namespace, name, versions }, { timeoutMs: TIMEOUTS_MS.read });
  return wanted.map(({ version, instances }, i) => {
    const there = found[i];
    if (there?.instances === instances) return there;
    const availableInstances = Math.min(instances, there?.availableInstances ?? 0);
    const startingInstances = Math.min(instances - availableInstances, there?.startingInstances ?? 0);
    const reason = 'The scheduler has not received the change yet.';
    return { version, instances, availableInstances, startingInstances, state: State.IN_PROGRESS, reason };
  });
}
