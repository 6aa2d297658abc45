import { superviseLoop } from '@evenfall/lifecycle';
import { delay } from '@evenfall/time';
import type { SchedulerPorts } from '../ports.ts';

/** Keys sign for a week, and are good for two months. */
const ROUND_MS = 3_600_000;

/** Keeps the keys by which attempts are given to agents as the registry has them. No agent is let in before it has answered once. */
export function runFollowGrantKeys(ports: SchedulerPorts, signal: AbortSignal): Promise<void> {
  const onFailure = (error: unknown): void => ports.log.warn('the keys of grants could not be asked for', { error: String(error) });
  return superviseLoop({ name: 'follow grant keys', signal, onFailure, maxPauseMs: 1_000 }, async () => {
    const keys = await ports.grantKeys();
    if (keys.length > 0) ports.grants.use(keys);
    await delay(ROUND_MS, signal);
  });
}
