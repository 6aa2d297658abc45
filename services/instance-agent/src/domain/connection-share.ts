/** What one instance may have at most, however large the host's table is: more costs the kernel time at each new one. */
const MOST = 4_096;
/** A function can hardly work with fewer; a host that cannot provide them is reported as small. */
const LEAST = 32;
/** The rest of the table is for what is not an instance's. */
const PART = 0.5;

export type ConnectionShare = {
  /** Connections to the outside that one instance may have. */
  readonly each: number;
  /** Whether all instances together, with these, leave the host its half of the table. */
  readonly isSafe: boolean;
};

/**
 * How many connections an instance may have, so that all that can be there at once use half of the host's table at most. `mostTracked` is the size of
 * that (`nf_conntrack_max`), `instances` how many can be there.
 */
export function connectionShare(mostTracked: number, instances: number): ConnectionShare {
  const fair = Math.floor((mostTracked * PART) / Math.max(1, instances));
  return { each: Math.min(MOST, Math.max(LEAST, fair)), isSafe: fair >= LEAST };
}
