import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { refuse } from '@evenfall/errors';
import type { Registry } from '../ports.ts';
import { findOpened, notReadable } from './find-function.ts';

const MAX_TRIES = 10;

/** Reads `$LATEST`, lets it be changed, and tries again if another change was faster. */
export async function changeFunction(
  registry: Registry,
  named: { readonly namespace: string; readonly name: string },
  change: (current: FunctionMessage) => Promise<FunctionMessage | undefined>,
  /** Whether it leaves nothing of secrets that cannot be opened. */
  replaces: (current: FunctionMessage) => boolean = () => false,
): Promise<FunctionMessage> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const { fn, isLocked } = await findOpened(registry, { ...named, qualifier: '' });
    if (isLocked && !replaces(fn)) throw notReadable(fn);
    const changed = await change(fn);
    if (!changed) continue;
    registry.feed.announce(named.namespace, named.name);
    return changed;
  }
  throw refuse('SERVICE_UNAVAILABLE', { detail: 'too many changes of one function at the same time' });
}
