/** What the kernel counts for a user of the host, by the names of `/proc`: instances that run as the agent's user use it up for the agent and for each other. */
export type UserLimits = {
  /** Descriptors watched by epoll, in all of the host's memory (`fs.epoll.max_user_watches`); undefined where the kernel does not bound them. */
  readonly watches: number | undefined;
  readonly inotify: number | undefined;
  readonly inotifyWatches: number | undefined;
  /** Signals that wait, timers among them (`RLIMIT_SIGPENDING`). */
  readonly pending: number | undefined;
  /** Bytes of POSIX message queues (`RLIMIT_MSGQUEUE`). */
  readonly queueBytes: number | undefined;
};

type Share = { readonly least: number; readonly most: number };

/** The least is what ordinary programs have: a file watcher for each of a few processes, one message queue of the usual size. */
const SHARES: Readonly<Record<keyof UserLimits, Share>> = {
  watches: { least: 8_192, most: 65_536 },
  inotify: { least: 4, most: 128 },
  inotifyWatches: { least: 512, most: 65_536 },
  pending: { least: 256, most: 4_096 },
  queueBytes: { least: 131_072, most: 819_200 },
};
/** The rest is for what is not an instance's. */
const PART = 0.5;

/**
 * How much of it one instance may have. `instances` is how many there can be at once: together they have half of it, unless that is too little for one
 * of them. No instance has more than a quarter.
 */
export function userShares(limits: UserLimits, instances: number): UserLimits {
  const shareOf = (name: keyof UserLimits): number | undefined => {
    const limit = limits[name];
    if (limit === undefined) return undefined;
    const { least, most } = SHARES[name];
    const fair = Math.floor((limit * PART) / Math.max(1, instances));
    return Math.min(Math.max(fair, least), most, Math.floor(limit / 4));
  };
  return {
    watches: shareOf('watches'),
    inotify: shareOf('inotify'),
    inotifyWatches: shareOf('inotifyWatches'),
    pending: shareOf('pending'),
    queueBytes: shareOf('queueBytes'),
  };
}
