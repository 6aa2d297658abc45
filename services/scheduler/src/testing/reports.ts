import type { AttemptReport, AttemptStarted } from '@evenfall/contracts/attempt/v1/attempt';
import { type ResultName, endedAs } from '../../../../libs/event-model/src/testing/life.ts';
import type { PlayedAgent } from './rig.ts';

/** The start of an attempt as an agent reports it. */
export const started = (instanceId: string, agentId = 'a'): AttemptStarted => ({
  instanceId,
  agentId,
  coldStart: true,
  coldStartDetail: undefined,
  startTime: new Date(0),
  memoryMb: 128,
});
export const startedReport = (eventId: string, instanceId: string, attempt = 1): AttemptReport => ({
  eventId,
  attempt,
  report: { $case: 'started', value: started(instanceId) },
});
export const endedReport = (eventId: string, ending: ResultName = 'returned', attempt = 1): AttemptReport => ({
  eventId,
  attempt,
  report: { $case: 'ended', value: endedAs(ending, 0) },
});
/** What an agent was given, as event@instance. */
export const assignedTo = (agent: PlayedAgent): string[] =>
  agent.all('assignments').map(({ instanceId, assignment }) => `${assignment?.eventId}@${instanceId}`);
