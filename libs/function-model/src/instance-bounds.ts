import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { INSTANCE_BOUNDS } from './limits.ts';

type InstanceBounds = Pick<FunctionMessage, 'tmpMb' | 'maxProcesses'>;

/** The bounds of a function's instances, also of one that was stored by a release without them; the defaults without a function. */
export function instanceBounds({ tmpMb, maxProcesses }: InstanceBounds = { tmpMb: 0, maxProcesses: 0 }): InstanceBounds {
  return {
    tmpMb: tmpMb || INSTANCE_BOUNDS.tmpMb.default,
    maxProcesses: maxProcesses || INSTANCE_BOUNDS.maxProcesses.default,
  };
}
