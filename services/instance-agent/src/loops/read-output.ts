import type { OutputReader } from '../flows/agent.ts';
import type { Instance } from '../flows/types.ts';

/** How many turns of the event loop an instance that goes on writing may hold its answer back. */
const MAX_TURNS = 64;
/** How many a runtime that answered may take to report that it is free: a few dozen microseconds, and a round trip less for the next event. */
const FREE_TURNS = 16;

type Waiting = { readonly instance: Instance; readonly sinceTurn: number; readonly done: () => void };

/**
 * Calls back once the output written before an answer has been read. Answer and output come by different pipes: what was written before
 * the answer is in its pipe already, but may be read after it. One whole turn of the event loop that brings no output of the instance proves
 * that its pipes are empty. All answers share one `setImmediate` per turn; `afterRound` is called when a turn has called back.
 */
export function readOutput(afterRound: () => void): OutputReader {
  let waiting: Waiting[] = [];
  let turn = 0;

  const round = (): void => {
    turn += 1;
    const later: Waiting[] = [];
    let hasCalled = false;
    for (const each of waiting) {
      const { output, work } = each.instance;
      const waitedTurns = turn - each.sinceTurn;
      const isLate = output.lastTurn >= turn - 1 ? waitedTurns < MAX_TURNS : !work.isFree && waitedTurns < FREE_TURNS;
      if (waitedTurns < 2 || isLate) {
        later.push(each);
        continue;
      }
      each.done();
      hasCalled = true;
    }
    waiting = later;
    if (later.length > 0) setImmediate(round);
    if (hasCalled) afterRound();
  };
  return {
    get turn() {
      return turn;
    },
    whenRead(instance, done) {
      waiting.push({ instance, sinceTurn: turn, done });
      if (waiting.length === 1) setImmediate(round);
    },
  };
}
