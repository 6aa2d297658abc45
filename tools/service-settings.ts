import type { Setting } from '@evenfall/config';
import { eventStoreProcess } from '../services/event-store/src/config.ts';
import { gatewayProcess } from '../services/gateway/src/config.ts';
import { agentProcess } from '../services/instance-agent/src/config.ts';
import { queueProcess } from '../services/queue/src/config.ts';
import { registryProcess } from '../services/registry/src/config.ts';
import { schedulerProcess } from '../services/scheduler/src/config.ts';

export type Specs = Readonly<Record<string, Setting<unknown>>>;

/** Everything each service reads as a process of its own. */
export const PROCESS_SETTINGS = {
  gateway: gatewayProcess,
  registry: registryProcess,
  queue: queueProcess,
  scheduler: schedulerProcess,
  'event-store': eventStoreProcess,
  'instance-agent': agentProcess,
} as const satisfies Readonly<Record<string, Specs>>;
