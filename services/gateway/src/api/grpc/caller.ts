import type { CallContext } from '@evenfall/rpc';
import { traceparentOf } from '../../domain/submission.ts';
import type { Caller, KeyRing } from '../../ports.ts';
import { ANONYMOUS } from '../access.ts';
import type { Access } from '@evenfall/access';

/** Who calls. */
export function callerOf(context: CallContext, access: Access, keys: Pick<KeyRing, 'endOf'>): Caller {
  let signal: AbortSignal | undefined;
  return {
    requester: access.id,
    access,
    // Made when it is asked for: most calls are over before their key can be.
    get signal() {
      return (signal ??= access.id === ANONYMOUS ? context.signal : AbortSignal.any([context.signal, keys.endOf(access.id)]));
    },
    traceparent: traceparentOf(context.header('traceparent')),
  };
}
