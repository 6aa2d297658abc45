import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import type { Assignment, AttemptResult, AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import type { AttachResponse } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { Agent } from './types.ts';

const NOTHING = Buffer.alloc(0);

/** The batch that is being put together for an agent. */
export function outgoingOf(agent: Agent): AttachResponse {
  return (agent.outgoing ??= {
    welcome: undefined,
    heartbeat: undefined,
    startInstances: [],
    assignments: [],
    stops: [],
    stopInstances: [],
    acks: [],
    drain: undefined,
  });
}

export function startedReport(
  assignment: Assignment,
  started: NonNullable<Extract<AttemptReport['report'], { $case: 'started' }>>['value'],
): AttemptReport {
  return { ...reportOf(assignment, { $case: 'started', value: started }), agentId: started.agentId };
}

/** `agentId` is of the agent that said so; undefined where the scheduler does. */
export function endedReport(assignment: Named, ended: AttemptResult, agentId?: string): AttemptReport {
  return { ...reportOf(assignment, { $case: 'ended', value: ended }), agentId };
}

export function revokedReport(whose: Named): AttemptReport {
  return reportOf(whose, { $case: 'revoked', value: {} });
}

/** Whatever names an attempt: its assignment, or a request to stop it. */
type Named = Pick<Assignment, 'eventId' | 'attempt'> & { readonly partition?: number | undefined };

function reportOf({ eventId, attempt, partition }: Named, report: NonNullable<AttemptReport['report']>): AttemptReport {
  return { eventId, attempt, report, partition };
}

/** An end the scheduler itself declares. */
export function declaredEnd(
  eventId: string,
  outcome: typeof Outcome.LOST | typeof Outcome.START_FAILED,
  statusCode: number,
  message: string,
  nowMs: number,
): AttemptResult {
  return {
    outcome,
    statusCode,
    result: NOTHING,
    resultTruncated: false,
    error: Buffer.from(JSON.stringify({ errorCode: -1, errorMessage: message, requestId: eventId, statusCode })),
    endTime: new Date(nowMs),
    durationMs: 0,
    memoryBytes: 0n,
    exitCode: 0,
    signal: '',
    stop: undefined,
    logTail: '',
    instanceBusy: false,
  };
}
