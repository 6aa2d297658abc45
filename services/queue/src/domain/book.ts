import type { StoredEvent } from '@evenfall/contracts/log/v1/stored_event';
import type { Lane } from './lanes.ts';

/** What the owner of a partition holds of an open event. */
export type Entry = {
  readonly id: string;
  readonly partition: number;
  readonly lane: Lane;
  stored: StoredEvent;
  /** When it was accepted, and before when it is not dispatched, both monotonic. */
  readonly acceptedMs: number;
  dueMs: number;
  /** Whether it stands in its lane's ready queue. */
  ready: boolean;
  /** Bytes it counts for there. */
  readyBytes: number;
  /** Number of the attempt that was dispatched and of which no end is known; 0 for none. */
  dispatched: number;
  /** Whether a former owner, or this one by an earlier stream, may have dispatched its next attempt. */
  perhapsGiven: boolean;
  /** Whether it counts as waiting in its lane. */
  counted: boolean;
  /** Calls that wait for something to become known about it. */
  waiters: Waiter[] | undefined;
};

/** A terminate call. */
export type Waiter = {
  readonly until: 'DELIVERED' | 'ENDED';
  readonly resolve: () => void;
  /** The event is somebody else's now: nobody here will know. */
  readonly abandon: () => void;
};

/** Every open event of the owned partitions, by id. */
export type Book = Map<string, Entry>;
