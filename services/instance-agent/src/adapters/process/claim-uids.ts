import { holdName } from './hold-name.ts';

type Range = { readonly first: number; readonly last: number };

/** Part of the ids that the agents of one host share among them. */
export type ClaimedUids = Range & { release(): void };

const PARTS = 10;

/**
 * Claims a tenth of the range for this process, which no other agent of the host will take until it ends, however it ends: the claim is a
 * socket in the kernel's own name space. undefined if all parts are taken.
 */
export async function claimUids(range: Range): Promise<ClaimedUids | undefined> {
  const size = Math.max(1, Math.floor((range.last - range.first + 1) / PARTS));
  for (let first = range.first; first + size - 1 <= range.last; first += size) {
    const release = await holdName(`\0evenfall-agent-uids-${first}`);
    if (release) return { first, last: first + size - 1, release };
  }
  return undefined;
}
