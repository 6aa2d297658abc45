import { delay } from '@evenfall/time';
import type { Agent } from '@evenfall/contracts/v1/operator_service';
import type { GatewayPorts } from '../ports.ts';

const EVERY_MS = 2_000;
const ANSWER_MS = 2_000;

/** The health of the services behind the gateway, as of a moment ago. */
export type HealthWatch = {
  /** What keeps accepted events from running or being read: with any of these the gateway is not ready. */
  faults(): readonly string[];
  /** What an operator may want to know, and does not keep the gateway from being ready. */
  notes(): readonly string[];
  run(signal: AbortSignal): Promise<void>;
};

/** Of each round; a page of them. */
const AGENTS_LOOKED_AT = 100;
/** Abilities of agents, and what it means that one of them is missing. */
const MISSING: Readonly<Record<string, string>> = {
  sandbox: 'functions run without isolation and can read the access key of the platform',
  'own-network': 'functions share the network of their host, with its loopback and the ports of each other,',
  'way-out': 'functions reach nothing outside',
};
/** Agents that are named in one note. */
const NAMED = 5;

export function notesOf(agents: readonly Pick<Agent, 'id' | 'abilities'>[]): string[] {
  if (agents.length === 0) return ['no agent is attached: accepted events wait'];
  return Object.entries(MISSING).flatMap(([missing, text]) => {
    const ids = agents
      .filter(({ abilities }) => abilities.some(({ name, available }) => name === missing && !available))
      .map(({ id }) => id);
    const more = ids.length > NAMED ? ` and ${ids.length - NAMED} more` : '';
    return ids.length === 0 ? [] : [`${text} on ${ids.slice(0, NAMED).join(', ')}${more}`];
  });
}

type Ports = Pick<GatewayPorts, 'queues' | 'eventStore' | 'scheduler'>;

/**
 * Asks every queue replica and the event-store what they know of themselves, and the scheduler for its agents. One that does not answer is
 * reported where the dependencies are watched. That no agent is attached is a note: events are accepted, kept, and run when one is.
 */
export function createHealthWatch({ queues, eventStore, scheduler }: Ports): HealthWatch {
  let faults: readonly string[] = [];
  let notes: readonly string[] = [];
  const look = async (signal: AbortSignal): Promise<void> => {
    const options = { timeoutMs: ANSWER_MS, signal };
    const asked = await Promise.allSettled([...queues, eventStore].map(async (client) => (await client.getHealth({}, options)).faults));
    faults = [...new Set(asked.flatMap((one) => (one.status === 'fulfilled' ? one.value : [])))];
    const agents = await scheduler.listAgents({ pageSize: AGENTS_LOOKED_AT, pageToken: '' }, options).catch(() => undefined); // away: reported elsewhere
    notes = agents ? notesOf(agents.agents) : [];
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
