import { superviseLoop } from '@evenfall/lifecycle';
import { noteAnyChange, noteChange } from '../flows/note-change.ts';
import { useConcurrency } from '../flows/use-concurrency.ts';
import type { SchedulerPorts } from '../ports.ts';

/**
 * Keeps what the scheduler knows of functions as the registry has it: what their versions are, and what is reserved and provisioned. Asks when a
 * watch is established, and again after every change. Without a watch it goes on with what it knew.
 */
export function runFollowFunctions(ports: SchedulerPorts, signal: AbortSignal): Promise<void> {
  const onFailure = (error: unknown): void => ports.log.warn('the watch of functions broke', { error: String(error) });
  return superviseLoop({ name: 'follow functions', signal, onFailure }, async () => {
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
      for (let step = await changes.next(); !step.done; step = await changes.next()) {
        const { namespace, name } = step.value;
        void (namespace === '' ? noteAnyChange(ports) : noteChange(ports, namespace, name)); // never rejects
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
