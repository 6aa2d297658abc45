import type { AttemptKey, AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import { assertNextPhase } from '../domain/attempt-phase.ts';
import type { Attempt, AttemptPhase, AttemptStart, Instance } from './types.ts';

/** Name of an attempt among those of the agent. */
export function keyOf(eventId: string, attempt: number): string {
  return `${eventId}/${attempt}`;
}

type Named = AttemptKey & Pick<Attempt, 'synchronous'>;

/** An attempt that waits for its instance. */
export function newAttempt(named: Named, payload: Buffer, instance?: Instance): Attempt {
  return attemptIn(named, { kind: 'WAITING', payload, instance });
}

/** An attempt of an earlier session, with the report of its end that was found on disk. */
export function endedAttempt(report: AttemptReport): Attempt {
  return attemptIn({ ...report, synchronous: false }, { kind: 'ENDED', report, endMs: 0, isSpooled: true });
}

function attemptIn({ eventId, attempt, partition, synchronous, grant }: Named, phase: AttemptPhase): Attempt {
  return {
    key: keyOf(eventId, attempt),
    eventId,
    attempt,
    partition: synchronous ? undefined : partition,
    synchronous,
    grant,
    log: {
      lineCount: 0,
      lastOrdinal: 0,
      grant: undefined,
      bytes: 0,
      isCut: false,
      head: undefined,
      tail: synchronous ? [] : undefined,
      tailBytes: 0,
    },
    phase,
  };
}

/** Moves an attempt on to its next phase; throws if that may not follow. Returns the phase, so that its own fields can be used. */
export function enterPhase<P extends AttemptPhase>(attempt: Attempt, next: P): P {
  assertNextPhase(attempt.phase.kind, next.kind, attempt.key);
  attempt.phase = next;
  return next;
}

/** Whether it waits for its instance, or for the runtime of it to receive it: it may still run elsewhere. */
export function hasNotBegun({ phase }: Attempt): boolean {
  return phase.kind === 'WAITING' || phase.kind === 'HANDED_OVER';
}

/** How it began; undefined if it has not, or if its end has been reported. */
export function startOf({ phase }: Attempt): AttemptStart | undefined {
  return phase.kind === 'RUNNING' || phase.kind === 'REPORTING' ? phase.start : undefined;
}

/** The instance it is assigned to; undefined once its end has been reported, because it may be kept for longer than the instance. */
export function instanceOf({ phase }: Attempt): Instance | undefined {
  return phase.kind === 'ENDED' ? undefined : phase.instance;
}

/** A report of an attempt, with the proof that it is this agent's to make. */
export function reportOn({ eventId, attempt, partition, grant }: Attempt, report: AttemptReport['report']): AttemptReport {
  return { eventId, attempt, partition, grant, report };
}
