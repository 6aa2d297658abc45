import type { StartFault } from '../../domain/instance-life.ts';
import type { InstanceNetwork } from '../../ports.ts';

/** Made ahead, so that a start does not wait: as many as are started at once on a small host. */
const READY = 2;
/** After the last start: it has the processor first. */
const REFILL_AFTER_MS = 50;
const FAULT_CODE = 500;

type Made = InstanceNetwork | StartFault;

/** Keeps a few networks ready. What cannot be made ahead is made, or refused, when it is requested. */
export function readyNetworks(make: () => Promise<Made>): { open(): Promise<Made>; close(): Promise<void> } {
  const ready: InstanceNetwork[] = [];
  let timer: NodeJS.Timeout | undefined;
  let filling: Promise<void> | undefined;
  let isOpen = true;
  const makeOne = async (): Promise<Made> => {
    try {
      return await make();
    } catch (error) {
      return {
        statusCode: FAULT_CODE,
        message: `The instance's network could not be made: ${error instanceof Error ? error.message : String(error)}`,
      };
    }
  };
  const fill = async (): Promise<void> => {
    while (isOpen && ready.length < READY) {
      const made = await makeOne();
      if ('statusCode' in made) return; // the next request reports it
      if (isOpen) ready.push(made);
      else made.close();
    }
  };
  const fillSoon = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      filling ??= fill().finally(() => (filling = undefined));
    }, REFILL_AFTER_MS).unref();
  };
  fillSoon();
  return {
    open() {
      fillSoon();
      const kept = ready.shift();
      return kept ? Promise.resolve(kept) : makeOne();
    },
    async close() {
      isOpen = false;
      clearTimeout(timer);
      await filling;
      for (const each of ready.splice(0)) each.close();
    },
  };
}
