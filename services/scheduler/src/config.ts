import { duration, integer, readSettings } from '@evenfall/config';
import { HOST_LIMITS } from '@evenfall/function-model';
import { HOST_CHECK, peerSettings, portsCheck, privateServerSettings, TLS_CHECK } from '@evenfall/service-main/settings';

/** What the scheduler reads from the environment. */
export const schedulerSettings = {
  leaseMs: duration({
    name: 'EVENFALL_LEASE',
    doc: 'How long an agent may hold attempts after its last heartbeat; a lost host costs so much time.',
    fallback: '30s',
    minMs: 1_000,
    maxMs: 600_000,
  }),
  idleMs: duration({
    name: 'EVENFALL_INSTANCE_IDLE',
    doc: 'How long an instance may wait for an event before it is reclaimed.',
    fallback: '60s',
    minMs: 100,
    maxMs: 24 * 3_600_000,
  }),
  startsPerMinute: integer({
    name: 'EVENFALL_INSTANCE_STARTS_PER_MINUTE',
    doc: 'Instances that may be started in a minute, in all; what is over it waits.',
    fallback: '500',
    min: 1,
    max: 1_000_000,
  }),
  agentMaxCapacityMb: integer({
    name: 'EVENFALL_AGENT_MAX_CAPACITY_MB',
    doc: 'Memory of the largest worker host, in megabytes: what an agent says beyond it does not count. The certificate of an agent that has joined by a token may say less.',
    fallback: '1048576',
    min: HOST_LIMITS.memoryMb.least,
    max: HOST_LIMITS.memoryMb.most,
  }),
  agentMaxInstances: integer({
    name: 'EVENFALL_AGENT_MAX_INSTANCES',
    doc: 'Instances that one worker host is given at most.',
    fallback: '2000',
    min: 1,
    max: HOST_LIMITS.instances,
  }),
  agentMaxParallelStarts: integer({
    name: 'EVENFALL_AGENT_MAX_PARALLEL_STARTS',
    doc: 'Instances that one worker host is asked to start at the same time at most, whatever its agent says.',
    fallback: '256',
    min: 1,
    max: HOST_LIMITS.parallelStarts,
  }),
};

/** Everything the scheduler reads as a process of its own. */
export const schedulerProcess = {
  ...privateServerSettings('scheduler'),
  registryAddress: peerSettings.registryAddress,
  ...schedulerSettings,
};

/** Reads the environment, or throws with a list of all faults. */
export function readConfig(env: Readonly<Record<string, string | undefined>>) {
  return readSettings(schedulerProcess, env, [HOST_CHECK, TLS_CHECK, portsCheck('grpcPort', 'metricsPort')]);
}
