import { refuse } from '@evenfall/errors';
import type { Named } from '../domain/concurrency.ts';
import type { ConcurrencyState, Registry } from '../ports.ts';

const MAX_TRIES = 20;

/** Reads what is reserved and provisioned, lets it be changed, and tries again if another change was faster. */
export async function changeConcurrency(
  registry: Registry,
  { namespace, name }: Named,
  change: (state: ConcurrencyState) => Promise<boolean>,
): Promise<void> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    if (!(await change(await registry.concurrency.read()))) continue;
    registry.feed.announce(namespace, name);
    return;
  }
  throw refuse('SERVICE_UNAVAILABLE', { detail: 'too many changes of concurrency at the same time' });
}
