import type { Entry } from './book.ts';

/** One async queue: the waiting events of one function and trigger, first in first out. */
export type Lane = {
  readonly key: string;
  /** Ready to be dispatched, in order. */
  readonly ready: ReadyQueue;
  /** Dispatched and not yet started. */
  readonly sent: Set<Entry>;
  /** Accepted and not started, wherever they are: what the lane limit counts. */
  waiting: number;
  /** Being appended to the log right now. */
  accepting: number;
  /** Open events that belong to it, running ones among them: while there are any it must not be made anew. */
  members: number;
  /** Not dispatched before; 0 if it may be at once. */
  pausedUntilMs: number;
  /** Whether it stands in the round. */
  inRound: boolean;
};

/** A first-in-first-out queue that skips what is no longer ready. */
export type ReadyQueue = {
  readonly size: number;
  push(entry: Entry): void;
  unshift(entry: Entry): void;
  shift(): Entry | undefined;
  peek(): Entry | undefined;
};

/** What one lane may have on its way: enough to keep its instances busy, little enough to leave room for others. */
const LANE_WINDOW = 256;
/** What all lanes may have on their way. */
const TOTAL_WINDOW = 4_096;
/** What a lane gets before it is the next one's turn. */
const QUANTUM = 64;

export type Lanes = {
  get(key: string): Lane;
  all(): Iterable<Lane>;
  /** Puts a lane into the round, if it has something to give. */
  enter(lane: Lane): void;
  /** Takes what may go now: lane by lane in turn, within the windows. Taken entries are in `sent`. */
  take(nowMs: number): Entry[];
  /** Notes that a dispatched event started, ended or came back. */
  left(entry: Entry): void;
  /** Forgets a lane with nothing in it. */
  dropIfEmpty(lane: Lane): void;
};

export function createLanes(): Lanes {
  const lanes = new Map<string, Lane>();
  const round: Lane[] = [];
  let onTheWay = 0;

  const enter = (lane: Lane): void => {
    if (lane.inRound || lane.ready.size === 0 || lane.sent.size >= LANE_WINDOW) return;
    lane.inRound = true;
    round.push(lane);
  };
  return {
    get(key) {
      let lane = lanes.get(key);
      if (!lane)
        lanes.set(
          key,
          (lane = {
            key,
            ready: createReadyQueue(),
            sent: new Set(),
            waiting: 0,
            accepting: 0,
            members: 0,
            pausedUntilMs: 0,
            inRound: false,
          }),
        );
      return lane;
    },
    all: () => lanes.values(),
    enter,
    take(nowMs) {
      const taken: Entry[] = [];
      const later: Lane[] = [];
      while (round.length > 0 && onTheWay < TOTAL_WINDOW) {
        const lane = round.shift() as Lane; // there is one
        lane.inRound = false;
        if (lane.pausedUntilMs > nowMs) {
          later.push(lane);
          continue;
        }
        for (let i = 0; i < QUANTUM && lane.sent.size < LANE_WINDOW && onTheWay < TOTAL_WINDOW; i++) {
          const entry = lane.ready.shift();
          if (!entry) break;
          lane.sent.add(entry);
          onTheWay++;
          taken.push(entry);
        }
        enter(lane);
      }
      for (const lane of later) {
        lane.inRound = true;
        round.push(lane);
      }
      return taken;
    },
    left(entry) {
      if (!entry.lane.sent.delete(entry)) return;
      onTheWay--;
      enter(entry.lane);
    },
    dropIfEmpty(lane) {
      if (lane.members === 0 && lane.accepting === 0) lanes.delete(lane.key);
    },
  };
}

/** Entries leave it by being marked not ready; they are skipped when their turn comes, so that taking one out costs nothing. */
function createReadyQueue(): ReadyQueue {
  let items: (Entry | undefined)[] = [];
  let head = 0;
  const front: Entry[] = [];
  const settle = (): void => {
    while (front.length > 0 && !front[front.length - 1]?.ready) front.pop();
    while (head < items.length && !items[head]?.ready) head++;
    if (head > 1_000 && head * 2 > items.length) {
      items = items.slice(head);
      head = 0;
    }
  };
  return {
    get size() {
      settle();
      return front.length + items.length - head;
    },
    push(entry) {
      entry.ready = true;
      items.push(entry);
    },
    unshift(entry) {
      entry.ready = true;
      front.push(entry);
    },
    shift() {
      settle();
      const entry = front.length > 0 ? front.pop() : items[head];
      if (!entry) return undefined;
      if (entry === items[head]) items[head++] = undefined;
      entry.ready = false;
      return entry;
    },
    peek() {
      settle();
      return front[front.length - 1] ?? items[head];
    },
  };
}
