import type { AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import type { Agent } from '../flows/agent.ts';
import { endedAttempt } from '../flows/attempt.ts';
import type { Attempt, EndedPhase } from '../flows/types.ts';
import type { OutcomeSpool } from '../ports.ts';

/** An outcome that is acknowledged sooner is not worth a write. */
const SPOOL_AFTER_MS = 50;

export type RunningSpool = {
  /** One round: writes what has not been acknowledged for a while, in one write. `all` includes the newest. */
  round(all?: boolean): void;
  /** Notes that an attempt was acknowledged and removed. */
  onAcknowledged(attempt: Attempt): void;
};

/**
 * Keeps outcomes that are not acknowledged on disk, so that an agent that is killed reports them at its next start. What an earlier session
 * left is read at once. A disk that is full costs only that: the outcomes stay in memory.
 */
export function spoolOutcomes(agent: Agent, spool: OutcomeSpool): RunningSpool {
  let spooledCount = 0;
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
  const spooled = (): AttemptReport[] =>
    [...agent.attempts.values()].flatMap(({ phase }) => (phase.kind === 'ENDED' && phase.isSpooled ? [phase.report] : []));

  carefully('read', () => {
    for (const report of spool.read()) {
      const attempt = endedAttempt(report);
      if (agent.attempts.has(attempt.key)) continue;
      agent.attempts.set(attempt.key, attempt);
      spooledCount += 1;
    }
    if (spooledCount > 0) agent.log.info('Outcomes of an earlier session are reported again', { count: spooledCount });
    else spool.clear();
  });
  return {
    round(all = false) {
      const beforeMs = agent.clock.monotonic() - SPOOL_AFTER_MS;
      const late: EndedPhase[] = [];
      for (const { phase, synchronous } of agent.attempts.values())
        if (phase.kind === 'ENDED' && !phase.isSpooled && !synchronous && (all || phase.endMs <= beforeMs)) late.push(phase);
      if (late.length === 0) return;
      carefully('kept', () => {
        const reports = late.map(({ report }) => report);
        if (!spool.append(reports, spooled)) return;
        for (const phase of late) phase.isSpooled = true;
        spooledCount += late.length;
      });
    },
    onAcknowledged({ phase }) {
      if (phase.kind !== 'ENDED' || !phase.isSpooled) return;
      spooledCount -= 1;
      if (spooledCount === 0) carefully('cleared', () => spool.clear());
    },
  };
}
