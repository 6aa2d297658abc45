import type { CallContext } from '@evenfall/rpc';
import { traceparentOf } from '../../domain/submission.ts';
import type { Caller } from '../../ports.ts';
import type { Access } from '@evenfall/access';

/** Who calls. */
export function callerOf(context: CallContext, access: Access): Caller {
  return {
    requester: access.id,
    access,
    signal: context.signal,
    traceparent: traceparentOf(context.header('traceparent')),
  };
}
