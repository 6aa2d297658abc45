/**
 * The phases of an attempt on its agent:
 *
 *   WAITING      It waits for its instance, which still starts or is not free yet.
 *   HANDED_OVER  The runtime of its instance has been given the event and has not received it yet. It has not begun.
 *   RUNNING      The runtime has received it: its time counts.
 *   REPORTING    It is over. Its last log lines are being stored, so that a reader who sees the end sees the lines too.
 *   ENDED        Its end is reported. It is kept until the scheduler acknowledges that.
 *
 *   WAITING -> HANDED_OVER -> RUNNING -> REPORTING -> ENDED
 *   WAITING -> REPORTING, HANDED_OVER -> REPORTING: its instance never started, or the host lost its lease or drains.
 *
 * An attempt that has not begun may also leave the agent: it is returned to the scheduler, or revoked.
 */
export type AttemptPhaseName = 'WAITING' | 'HANDED_OVER' | 'RUNNING' | 'REPORTING' | 'ENDED';

/** The phases that may follow each phase. */
export const NEXT_PHASES: Readonly<Record<AttemptPhaseName, readonly AttemptPhaseName[]>> = {
  WAITING: ['HANDED_OVER', 'REPORTING'],
  HANDED_OVER: ['RUNNING', 'REPORTING'],
  RUNNING: ['REPORTING'],
  REPORTING: ['ENDED'],
  ENDED: [],
};

/** Throws if an attempt may not go from one phase to another, which is a defect of the caller. */
export function assertNextPhase(from: AttemptPhaseName, to: AttemptPhaseName, attempt: string): void {
  if (!NEXT_PHASES[from].includes(to)) throw new Error(`Attempt ${attempt} cannot go from ${from} to ${to}`);
}
