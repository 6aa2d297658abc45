/** User ids for instances: a process can signal and read all others of the same id, so no two living instances share one. */
export type UidPool = {
  /** The id that has been free for longest; undefined if all are claimed. */
  claim(): number | undefined;
  /** Releases one. No process of its instance may be alive. */
  release(uid: number): void;
};

/** Ids in `lost` are never claimed: processes of an earlier holder could not be ended. */
export function uidPool(range: { readonly first: number; readonly last: number }, lost: ReadonlySet<number> = new Set()): UidPool {
  const released: number[] = [];
  let next = range.first;
  return {
    claim() {
      while (lost.has(next)) next++;
      return next <= range.last ? next++ : released.shift();
    },
    release: (uid) => void released.push(uid),
  };
}

const LEAST = 20;

/** Reads `first-last`; throws where that is no range of at least 20 ids above those of people and services. */
export function uidRangeOf(text: string): { readonly first: number; readonly last: number } {
  const [first = 0, last = 0] = text.split('-').map(Number);
  if (first >= 1000 && last - first + 1 >= LEAST) return { first, last };
  throw new Error(`EVENFALL_AGENT_UIDS: "${text}" is no range of ${LEAST} ids or more, from 1000 up`);
}
