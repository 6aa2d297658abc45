/** What a queue replica knows of itself. Times are monotonic. */
export type QueueState = {
  /** Appends that failed when they were tried last. */
  readonly failing: readonly { readonly partition: number; readonly sinceMs: number; readonly error: string }[];
  /** Partitions that are being taken over, and since when. */
  readonly takingOver: ReadonlyMap<number, number>;
  /** Since when streams to the scheduler break without an answer; undefined if they do not, or nothing is to be sent. */
  readonly brokenSinceMs: number | undefined;
};

/** How long something may go wrong before it is a fault: a leader moves, a service is started anew. */
const PATIENCE_MS = 8_000;
/** A partition with many open events takes long to be read. */
const TAKEOVER_PATIENCE_MS = 60_000;

/** What keeps accepted events from running, one sentence for each fault; empty if nothing does. */
export function faultsOf({ failing, takingOver, brokenSinceMs }: QueueState, nowMs: number): string[] {
  const faults: string[] = [];
  const stuck = failing.filter(({ sinceMs }) => nowMs - sinceMs >= PATIENCE_MS);
  const [first] = stuck;
  if (first) {
    const partitions = stuck.map(({ partition }) => partition).join(', ');
    faults.push(`records of partition ${partitions} cannot be written for ${seconds(nowMs - first.sinceMs)}: ${first.error.slice(0, 300)}`);
  }
  const late = [...takingOver].filter(([, sinceMs]) => nowMs - sinceMs >= TAKEOVER_PATIENCE_MS);
  const [oldest] = late;
  if (oldest) {
    const partitions = late.map(([partition]) => partition).join(', ');
    faults.push(`partition ${partitions} is being taken over for ${seconds(nowMs - oldest[1])} and does not run yet`);
  }
  if (brokenSinceMs !== undefined && nowMs - brokenSinceMs >= PATIENCE_MS) {
    faults.push(`the stream to the scheduler has broken again and again for ${seconds(nowMs - brokenSinceMs)}`);
  }
  return faults;
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1_000)} s`;
}
