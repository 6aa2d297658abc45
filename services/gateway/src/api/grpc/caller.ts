import type { CallContext } from '@evenfall/rpc';
import { traceparentOf } from '../../domain/submission.ts';
import type { Caller } from '../../ports.ts';
import type { Authenticate } from '../access.ts';

/** Who calls. The key was checked before the handler was reached; here it is read once more for its id. */
export function callerOf(context: CallContext, authenticate: Authenticate): Caller {
  return {
    requester: authenticate(context.header('authorization')),
    signal: context.signal,
    traceparent: traceparentOf(context.header('traceparent')),
  };
}
