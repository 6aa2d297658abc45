/** What the window keeps of a member. Written by the window, except the pause. */
export type Turn = {
  /** Whether it has a place in the round. */
  isInRound: boolean;
  /** Items of it that were dequeued and not released. */
  inUse: number;
  /** Nothing of it is dequeued before, monotonic; 0 if it may be at once. Written by the owner of the member. */
  pausedUntilMs: number;
};

/** Members that share a limit. */
export type WindowGroup = {
  readonly limit: number;
  /** Items of them that were dequeued and not released. Written by the window. */
  inUse: number;
};

export type FairWindowOptions<M extends Turn, T> = {
  /** Items one member gets before it is the next one's turn. */
  readonly quantum: number;
  readonly groups: readonly WindowGroup[];
  /** The group of a member, one of the above. */
  readonly groupOf: (member: M) => WindowGroup;
  /** How many items of a member may be in use; it may change at any time. */
  readonly limitOf: (member: M) => number;
  /** Whether `next` has nothing to give. */
  readonly isEmpty: (member: M) => boolean;
  /** Removes and answers the next item of a member; undefined without one. */
  readonly next: (member: M) => T | undefined;
};

/**
 * Hands out the items of many queues fairly: in turn, a quantum each, as many at a time as each member and each group may have in use. One with
 * much to give does not hold up one with little. A member that pauses, or whose group is full, keeps its place and costs the others nothing.
 */
export type FairWindow<M extends Turn, T> = {
  /** Gives a member a place in the round if it has something to give and may have more in use. Call it whenever an item was added to a member. */
  enqueue(member: M): void;
  /** Removes what may go now from the members, in turn; all of it is in use from then on. */
  dequeue(nowMs: number): T[];
  /** Counts one item of a member as no longer in use. */
  release(member: M): void;
};

export function createFairWindow<M extends Turn, T>(options: FairWindowOptions<M, T>): FairWindow<M, T> {
  const { quantum, groups, groupOf, limitOf, isEmpty, next } = options;
  const round: M[] = [];

  const enqueue = (member: M): void => {
    if (member.isInRound || isEmpty(member) || member.inUse >= limitOf(member)) return;
    member.isInRound = true;
    round.push(member);
  };
  const isFull = (group: WindowGroup): boolean => group.inUse >= group.limit;
  const dequeueTurn = (member: M, group: WindowGroup, into: T[]): void => {
    for (let i = 0; i < quantum && member.inUse < limitOf(member) && !isFull(group); i++) {
      const item = next(member);
      if (item === undefined) return;
      member.inUse++;
      group.inUse++;
      into.push(item);
    }
  };
  return {
    enqueue,
    dequeue(nowMs) {
      const dequeued: T[] = [];
      const waiting: M[] = [];
      while (round.length > 0 && !groups.every(isFull)) {
        const member = round.shift() as M; // the round is not empty
        member.isInRound = false;
        const group = groupOf(member);
        if (member.pausedUntilMs > nowMs || isFull(group)) {
          waiting.push(member);
          continue;
        }
        dequeueTurn(member, group, dequeued);
        enqueue(member);
      }
      for (const member of waiting) enqueue(member);
      return dequeued;
    },
    release(member) {
      member.inUse--;
      groupOf(member).inUse--;
      enqueue(member);
    },
  };
}
