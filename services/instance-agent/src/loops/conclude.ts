import type { Instance } from '../flows/agent.ts';

export type Concluder = { await(instance: Instance): void; readonly turn: number };

/** How many turns of the event loop an instance that goes on writing may hold its answer back. */
const MAX_TURNS = 64;

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
      if (waitedTurns < 2 || (instance.outputTurn >= turn - 1 && waitedTurns < MAX_TURNS)) {
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
