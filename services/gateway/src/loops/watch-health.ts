import { delay } from '@evenfall/time';
import type { GatewayPorts } from '../ports.ts';

const EVERY_MS = 2_000;
const ANSWER_MS = 2_000;

/** What stands behind the doors, as of a moment ago. */
export type HealthWatch = {
  /** What keeps accepted events from running or being read: with any of these the doors are not ready. */
  faults(): readonly string[];
  /** What is worth knowing, and does not keep the doors from being ready. */
  notes(): readonly string[];
  run(signal: AbortSignal): Promise<void>;
};

type Ports = Pick<GatewayPorts, 'queues' | 'eventStore' | 'scheduler'>;

/**
 * Asks every queue replica and the event-store what they know of themselves, and the scheduler for its agents. One that does not answer is
 * said where the dependencies are watched. That no agent is attached is a note: events are accepted, kept, and run when one is.
 */
export function createHealthWatch({ queues, eventStore, scheduler }: Ports): HealthWatch {
  let faults: readonly string[] = [];
  let notes: readonly string[] = [];
  const look = async (signal: AbortSignal): Promise<void> => {
    const options = { timeoutMs: ANSWER_MS, signal };
    const asked = await Promise.allSettled([...queues, eventStore].map(async (client) => (await client.getHealth({}, options)).faults));
    faults = [...new Set(asked.flatMap((one) => (one.status === 'fulfilled' ? one.value : [])))];
    const agents = await scheduler.listAgents({ pageSize: 1, pageToken: '' }, options).catch(() => undefined); // away: said elsewhere
    notes = agents?.agents.length === 0 ? ['no agent is attached: accepted events wait'] : [];
  };
  return {
    faults: () => faults,
    notes: () => notes,
    async run(signal) {
      while (!signal.aborted) {
        await look(signal);
        await delay(EVERY_MS, signal);
      }
    },
  };
}
