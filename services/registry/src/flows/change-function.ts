import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { refuse } from '@evenfall/errors';
import type { Registry } from '../ports.ts';
import { findFunction } from './find-function.ts';

const MAX_TRIES = 10;

/** Reads `$LATEST`, lets it be changed, and tries again if somebody else was faster. */
export async function changeFunction(
  registry: Registry,
  named: { readonly namespace: string; readonly name: string },
  change: (current: FunctionMessage) => Promise<FunctionMessage | undefined>,
): Promise<FunctionMessage> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const changed = await change(await findFunction(registry, { ...named, qualifier: '' }));
    if (!changed) continue;
    registry.feed.announce(named.namespace, named.name);
    return changed;
  }
  throw refuse('SERVICE_UNAVAILABLE', { detail: 'too many changes of one function at the same time' });
}
