import { superviseLoop } from '@evenfall/lifecycle';
import { useConcurrency } from '../flows/use-concurrency.ts';
import type { SchedulerPorts } from '../ports.ts';

/** Keeps what is reserved and provisioned as the registry has it: asks when a watch stands, and again after every change. */
export function runFollowConcurrency(ports: SchedulerPorts, signal: AbortSignal): Promise<void> {
  const onFailure = (error: unknown): void => ports.log.warn('the watch of concurrency broke', { error: String(error) });
  return superviseLoop({ name: 'follow concurrency', signal, onFailure }, async () => {
    const broken = new AbortController();
    let asking: Promise<void> | undefined;
    let isStale = false;
    let failure: unknown;
    // However many changes come while it is asked, they are one more question.
    const ask = async (): Promise<void> => {
      while (isStale && !signal.aborted) {
        isStale = false;
        useConcurrency(ports, await ports.concurrency());
      }
    };
    try {
      const changes = ports.watchFunctions(AbortSignal.any([signal, broken.signal]))[Symbol.asyncIterator]();
      while (!(await changes.next()).done) {
        isStale = true;
        asking ??= ask()
          .catch((error: unknown) => {
            failure = error;
            broken.abort();
          })
          .finally(() => (asking = undefined));
      }
    } finally {
      broken.abort();
      await asking;
    }
    if (!signal.aborted) throw new Error('the watch ended', { cause: failure });
  });
}
