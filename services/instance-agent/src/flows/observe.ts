import { observable } from '@evenfall/telemetry';
import type { AttemptPhaseName } from '../domain/attempt-phase.ts';
import type { Agent } from './agent.ts';

/** How many attempts are in one of the phases. */
export function countAttempts({ attempts }: Pick<Agent, 'attempts'>, ...phases: readonly AttemptPhaseName[]): number {
  let count = 0;
  for (const { phase } of attempts.values()) if (phases.includes(phase.kind)) count++;
  return count;
}

/** Makes the state of the agent readable as metrics. */
export function observeAgent(agent: Agent, readyCounts: () => { readonly ready: number; readonly claimed: number }): void {
  observable('instance_agent', {
    instances: { doc: 'Instances on this host.', kind: 'gauge', read: () => agent.instances.size },
    attempts_running: {
      doc: 'Attempts that run, or whose last lines are being stored.',
      kind: 'gauge',
      read: () => countAttempts(agent, 'RUNNING', 'REPORTING'),
    },
    outcomes_spooled: {
      doc: 'Results of attempts that are retained on disk too.',
      kind: 'gauge',
      read: () => {
        let count = 0;
        for (const { phase } of agent.attempts.values()) if (phase.kind === 'ENDED' && phase.isSpooled) count++;
        return count;
      },
    },
    ready_processes: {
      doc: 'Prewarmed processes: their runtime is loaded, and they wait for an instance.',
      kind: 'gauge',
      read: () => readyCounts().ready,
    },
    starts_from_ready_total: {
      doc: 'Instances that used a prewarmed process instead of starting one.',
      kind: 'counter',
      read: () => readyCounts().claimed,
    },
    user_ids_lost: {
      doc: 'User ids that are not used again: a process of their last instance may be left.',
      kind: 'gauge',
      read: () => agent.driver.lostUserIds(),
    },
    outcomes_retained: {
      doc: 'Results of attempts that are retained until the queue has acknowledged them.',
      kind: 'gauge',
      read: () => countAttempts(agent, 'ENDED'),
    },
  });
}
