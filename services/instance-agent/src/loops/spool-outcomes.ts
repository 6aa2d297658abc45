import type { AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import { type Agent, type Attempt, keyOf } from '../flows/agent.ts';
import { newAttempt } from '../flows/run-attempt.ts';
import type { OutcomeSpool } from '../ports.ts';

/** An outcome that was acknowledged sooner was never worth a write. */
const SPOOL_AFTER_MS = 50;

export type RunningSpool = {
  /** One look: writes what nobody has acknowledged for a while, in one write. `all` takes the youngest too. */
  round(all?: boolean): void;
  /** Told that an attempt was acknowledged and forgotten. */
  forgotten(attempt: Attempt): void;
};

/**
 * Keeps outcomes nobody acknowledges on disk, so that an agent that is killed still tells them at its next start. What an earlier session
 * left is taken up at once. A disk that is full costs that much and no more: the outcomes stay in memory.
 */
export function spoolOutcomes(agent: Agent, spool: OutcomeSpool): RunningSpool {
  let spooled = 0;
  let isWell = true;

  const carefully = (what: string, action: () => void): void => {
    try {
      action();
      isWell = true;
    } catch (error) {
      if (isWell) agent.log.error(`Outcomes could not be ${what} on disk; they are kept in memory`, error);
      isWell = false;
    }
  };
  const kept = (): AttemptReport[] =>
    [...agent.attempts.values()].flatMap(({ spooled: isKept, ended }) => (isKept && ended ? [ended] : []));

  carefully('read', () => {
    for (const report of spool.read()) {
      const key = keyOf(report.eventId, report.attempt);
      if (agent.attempts.has(key)) continue;
      const attempt = newAttempt({ ...report, synchronous: false }, Buffer.alloc(0));
      Object.assign(attempt, { phase: 'ENDED', ended: report, spooled: true });
      agent.attempts.set(key, attempt);
      spooled += 1;
    }
    if (spooled > 0) agent.log.info('Outcomes of an earlier session are told again', { count: spooled });
    else spool.clear();
  });
  return {
    round(all = false) {
      const beforeMs = agent.clock.monotonic() - SPOOL_AFTER_MS;
      const late: Attempt[] = [];
      for (const attempt of agent.attempts.values())
        if (attempt.phase === 'ENDED' && !attempt.spooled && !attempt.synchronous && (all || attempt.endedMs <= beforeMs))
          late.push(attempt);
      if (late.length === 0) return;
      carefully('kept', () => {
        if (
          !spool.append(
            late.flatMap(({ ended }) => ended ?? []),
            kept,
          )
        )
          return;
        for (const attempt of late) attempt.spooled = true;
        spooled += late.length;
      });
    },
    forgotten(attempt) {
      if (!attempt.spooled) return;
      spooled -= 1;
      if (spooled === 0) carefully('cleared', () => spool.clear());
    },
  };
}
