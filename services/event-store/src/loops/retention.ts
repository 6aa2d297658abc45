import { superviseLoop } from '@evenfall/lifecycle';
import { delay } from '@evenfall/time';
import type { Log } from '@evenfall/telemetry';
import type { Keeper } from '../flows/purge.ts';

const ROUND_MS = 5 * 60_000;

/** Makes partitions ahead and drops those past the retention, for ever. Missing rounds do no harm: partitions are made two days ahead. */
export function runRetention(keeper: Keeper, log: Log, signal: AbortSignal): Promise<void> {
  const onFailure = (error: unknown): void => log.error('could not keep the partitions', error);
  return superviseLoop({ name: 'retention', signal, onFailure }, async () => {
    for (const { name } of await keeper.round()) log.info('dropped a partition past the retention', { partition: name });
    await delay(ROUND_MS, signal);
  });
}
