import {
  type ProvisionedConcurrency,
  ProvisionedConcurrency_State as State,
  type ReservedConcurrency,
} from '@evenfall/contracts/v1/function_service';
import { nameOf } from '../json/enum-names.ts';
import { always } from '../json/values.ts';
import type { ProvisionedAnswer, ReservedAnswer } from './schema.ts';

export function reservedJson({ memoryMb, totalMb, availableMb }: ReservedConcurrency): ReservedAnswer {
  return { memory_mb: memoryMb ?? null, total_mb: totalMb, available_mb: availableMb };
}

export function provisionedJson(provisioned: ProvisionedConcurrency): ProvisionedAnswer {
  return {
    version: provisioned.version,
    instances: provisioned.instances,
    available_instances: provisioned.availableInstances,
    starting_instances: provisioned.startingInstances,
    state: always(nameOf(State, provisioned.state)),
    reason: provisioned.reason,
  };
}
