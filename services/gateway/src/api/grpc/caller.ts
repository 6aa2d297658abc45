import type { CallContext } from '@evenfall/rpc';
import { traceparentOf } from '../../domain/submission.ts';
import type { Caller, KeyRing } from '../../ports.ts';
import { auditedCallOf } from './rights.ts';
import type { Access } from '@evenfall/access';

/** The caller of a call. */
export function callerOf(context: CallContext, access: Access, keys: Pick<KeyRing, 'endOf'>): Caller {
  let signal: AbortSignal | undefined;
  return {
    requester: access.id,
    get audited() {
      return auditedCallOf(context);
    },
    access,
    // Made when it is first read: most calls end before their key can expire.
    get signal() {
      const end = signal ? undefined : keys.endOf(access);
      return (signal ??= end ? AbortSignal.any([context.signal, end]) : context.signal);
    },
    traceparent: traceparentOf(context.header('traceparent')),
  };
}
