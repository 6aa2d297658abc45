import { Termination_Cause as Cause } from '@evenfall/contracts/v1/termination';
import { LEAVE_POLICY, resolvePolicy } from '../domain/termination-plan.ts';
import type { Agent } from './agent.ts';
import { preStopTimeoutMs } from './run-hooks.ts';
import type { Instance } from './types.ts';

/** Stops an instance in order; without effect on one that is busy. Only an update may have a policy of its own: idle is 50 ms. */
export function stopWhenIdle(agent: Agent, instance: Instance, cause: Cause): void {
  const hookTimeoutMs = preStopTimeoutMs(instance.fn);
  const own = cause === Cause.UPDATE ? instance.fn.terminationByCause?.update : undefined;
  const policy = own && resolvePolicy(undefined, own, LEAVE_POLICY.graceMs);
  agent.feed(instance, { kind: 'STOP_INSTANCE', nowMs: agent.clock.monotonic(), hookTimeoutMs, ...(policy ? { policy } : {}) });
}
