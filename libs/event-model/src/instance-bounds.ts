import type { FunctionMessage } from '@evenfall/contracts/v1/function';

/** Room for temporary files and tasks of one instance: what a function may ask for, and what it has if it asks for nothing. */
export const INSTANCE_BOUNDS = {
  tmpMb: { least: 64, most: 4_096, default: 512 },
  maxProcesses: { least: 16, most: 4_096, default: 256 },
} as const;

type Bounds = Pick<FunctionMessage, 'tmpMb' | 'maxProcesses'>;

/** The bounds of a function, also of one that was stored by a release without them; the usual ones without a function. */
export function instanceBounds({ tmpMb, maxProcesses }: Bounds = { tmpMb: 0, maxProcesses: 0 }): Bounds {
  return {
    tmpMb: tmpMb || INSTANCE_BOUNDS.tmpMb.default,
    maxProcesses: maxProcesses || INSTANCE_BOUNDS.maxProcesses.default,
  };
}
