import { superviseLoop } from '@evenfall/lifecycle';
import { delay } from '@evenfall/time';
import type { JoinRegistry, KeyRegistry } from '../ports.ts';

const ROUND_MS = 10 * 60_000;
/** Rows of one statement: it does not block others for long. */
const BATCH = 5_000;

/** Deletes audit records past their retention, and keys that stopped being good before that. Several registries may do it at once. */
export function runSweep(registry: KeyRegistry & JoinRegistry, retentionMs: number, signal: AbortSignal): Promise<void> {
  const onFailure = (error: unknown): void => registry.log.error('could not sweep the audit log', error);
  return superviseLoop({ name: 'sweep audit', signal, onFailure }, async () => {
    await sweepOnce(registry, retentionMs, signal);
    await delay(ROUND_MS, signal);
  });
}

export async function sweepOnce(registry: KeyRegistry & JoinRegistry, retentionMs: number, signal: AbortSignal): Promise<void> {
  const before = new Date(registry.clock.now() - retentionMs);
  while (!signal.aborted && (await registry.audit.sweep(before, BATCH)) === BATCH);
  await registry.keys.sweep(before);
  await registry.agentTokens.sweep(before);
}
