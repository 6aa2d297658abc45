import type { Termination_Cause as Cause } from '@evenfall/contracts/v1/termination';
import { setInstanceState } from '../domain/cluster.ts';
import { outgoingOf } from '../domain/messages.ts';
import type { Instance } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';

/** Has an instance stopped that runs nothing; it is gone when its agent says so. */
export function stopInstance(ports: SchedulerPorts, instance: Instance, cause: Cause): void {
  if (instance.state !== 'IDLE' && instance.state !== 'SETTLING') return;
  setInstanceState(instance, 'STOPPING', ports.clock.monotonic());
  outgoingOf(instance.agent).stopInstances.push({ instanceId: instance.id, cause });
}
