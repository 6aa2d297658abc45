import type { GetProvisionedRequest, GetProvisionedResponse } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { type ProvisionedConcurrency, ProvisionedConcurrency_State as State } from '@evenfall/contracts/v1/function_service';
import type { SchedulerPorts } from '../ports.ts';

/** Counts the provisioned instances of versions. */
export function getProvisioned(ports: SchedulerPorts, { namespace, name, versions }: GetProvisionedRequest): GetProvisionedResponse {
  return { versions: versions.map((version) => statusOf(ports, `${namespace}/${name}/${version}`, version)) };
}

function statusOf({ cluster }: SchedulerPorts, key: string, version: string): ProvisionedConcurrency {
  const pool = cluster.pools.get(key);
  const instances = pool?.provisioned ?? 0;
  let ready = 0;
  let starting = 0;
  for (const { agent, state } of pool?.instances ?? []) {
    if (!agent.send || agent.drain) continue;
    if (state === 'IDLE' || state === 'BUSY' || state === 'SETTLING') ready++;
    if (state === 'STARTING') starting++;
  }
  const availableInstances = Math.min(instances, ready);
  const startingInstances = Math.min(instances - availableInstances, starting);
  const blockedReason = pool?.blockedReason ?? '';
  const isReady = availableInstances === instances;
  const state = isReady ? State.READY : blockedReason === '' ? State.IN_PROGRESS : State.FAILED;
  const reason = isReady ? '' : blockedReason || `${instances - availableInstances} are being started.`;
  return { version, instances, availableInstances, startingInstances, state, reason };
}
