/** The key of a lane: one async queue, one order. */
export function laneKey(namespace: string, fn: string, trigger: string): string {
  return `${namespace}/${fn}/${trigger}`;
}

/** The partition of a lane: FNV-1a (Fowler, Noll, Vo; 32 bits) modulo the number of partitions. Never changes for a lane. */
export function partitionOfLane(lane: string, partitionCount: number): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(lane)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0) % partitionCount;
}
