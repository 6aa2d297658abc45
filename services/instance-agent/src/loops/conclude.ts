import type { Instance } from '../flows/agent.ts';

export type Concluder = { await(instance: Instance): void; readonly turn: number };

/** How many turns of the event loop an instance that goes on writing may hold its answer back. */
const MAX_TURNS = 64;
/** How many a runtime that answered may take to say that it is free: a few dozen microseconds, and a round trip less for the next event. */
const FREE_TURNS = 16;

/**
 * Concludes answers once the output written before them has been read. Answer and output come by different pipes: what was written before
 * the answer is in its pipe already, but may be read after it. One whole turn of the event loop that brings no output of the instance says
 * that its pipes are empty. All answers share one `setImmediate` per turn.
 */
export function startConcluder(conclude: (instance: Instance) => void, afterRound: () => void): Concluder {
  let answered: Instance[] = [];
  let turn = 0;

  const round = (): void => {
    turn += 1;
    const later: Instance[] = [];
    let concluded = false;
    for (const instance of answered) {
      const waitedTurns = turn - instance.answeredTurn;
      const isLate = instance.outputTurn >= turn - 1 ? waitedTurns < MAX_TURNS : !instance.isFree && waitedTurns < FREE_TURNS;
      if (waitedTurns < 2 || isLate) {
        later.push(instance);
        continue;
      }
      conclude(instance);
      concluded = true;
    }
    answered = later;
    if (later.length > 0) setImmediate(round);
    if (concluded) afterRound();
  };
  return {
    get turn() {
      return turn;
    },
    await(instance) {
      instance.answeredTurn = turn;
      answered.push(instance);
      if (answered.length === 1) setImmediate(round);
    },
  };
}
