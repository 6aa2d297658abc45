import { OperatorError } from '@evenfall/errors';
import { claimRange, claimUser } from './claim-file.ts';
import { sweepUsers } from '../sweep/sweep.ts';

type Range = { readonly first: number; readonly last: number };

/** Part of the ids that the agents of one host share among them. */
export type ClaimedUids = Range & {
  /** Processes that earlier holders had left under these ids, and that were ended. */
  readonly sweptCount: number;
  /** Ids under which a process could not be ended: they are not used. */
  readonly lost: ReadonlySet<number>;
  release(): Promise<void>;
};

const PARTS = 10;

/**
 * Claims a tenth of the range for this process, which no other agent of the host claims until it ends, however it ends, and ends what runs under it. By a
 * lock among agents that see the same files, and among those in other containers by the last id, which no function gets. Throws if all parts are claimed.
 */
export async function claimUids(launcher: string, range: Range): Promise<ClaimedUids> {
  const size = Math.max(1, Math.floor((range.last - range.first + 1) / PARTS));
  for (let first = range.first; first + size - 1 <= range.last; first += size) {
    const unlock = await claimRange(launcher, { kind: 'uids', first, count: size });
    if (!unlock) continue;
    // A part of one id has none to spare.
    const letGo = size === 1 ? () => Promise.resolve() : await claimUser(launcher, first + size - 1);
    if (!letGo) {
      await unlock();
      continue;
    }
    const release = async (): Promise<void> => {
      await Promise.all([letGo(), unlock()]);
    };
    const claimed = { first, last: Math.max(first, first + size - 2) };
    // Before anything runs under one of them, the trials of this host too.
    const { count: sweptCount, lost } = await sweepUsers(launcher, claimed);
    return { ...claimed, sweptCount, lost, release };
  }
  throw new OperatorError(
    `EVENFALL_AGENT_UIDS: other agents of this host have all of ${range.first}-${range.last}, and functions never run as root; set another range for this agent`,
  );
}
