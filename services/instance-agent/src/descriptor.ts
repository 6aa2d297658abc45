import { dirname } from 'node:path';
import { EventStoreServiceService } from '@evenfall/contracts/event_store/v1/event_store_service';
import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { OperatorError } from '@evenfall/errors';
import { internalHeaders, type ServiceDescriptor } from '@evenfall/service-main';
import { ownIdentity } from './adapters/identity/identity-files.ts';
import { joinPlatform } from './adapters/identity/join-platform.ts';
import { agentSettings, readConfig } from './config.ts';
import { runRenewIdentity } from './loops/renew-identity.ts';
import { type InstanceAgentSettings, startInstanceAgent } from './service.ts';

type Process = ReturnType<typeof readConfig>;
type OwnSettings = Omit<InstanceAgentSettings, 'scheduler' | 'sharesProcess'>;
/** In one process with the scheduler it has neither an address of it nor a certificate. */
export type AgentConfig = OwnSettings & Partial<Pick<Process, 'identityDir' | 'schedulerAddress' | 'internalKey'>>;

/** How much longer than its drain an agent may take to stop. */
const STOP_SLACK_MS = 15_000;

export const instanceAgent: ServiceDescriptor<AgentConfig, Process> = {
  name: 'instance-agent',
  settings: { own: agentSettings, read: readConfig },
  dependencies: {
    registry: { services: [RegistryServiceService] },
    'event-store': { services: [EventStoreServiceService], spread: true },
    // The lease runs from the moment the stream was asked for: it must not be asked for long before it can stand.
    scheduler: { services: [SchedulerServiceService], streamsWait: false },
  },
  stopWithinMs: ({ drainDeadlineMs }) => drainDeadlineMs + STOP_SLACK_MS,
  async prepare(config, log, signal) {
    if (config.tlsKeyFile !== undefined) return config;
    const { identityDir: dir, agentId, joinToken: token, joinTokenFile: tokenFile, joinCa: authoritySha256, joinAddress: address } = config;
    const files = await joinPlatform({ dir, agentId, token, tokenFile, authoritySha256, address }, log, signal, Date.now);
    if (!files) return config;
    return { ...config, tlsCaFile: files.caFile, tlsCertificateFile: files.certificateFile, tlsKeyFile: files.keyFile };
  },
  async start({ config, log, isShared, tls, part, client, dependsOn, drainsFirst, onForce }) {
    const registry = await client(RegistryServiceService);
    const { identityDir, schedulerAddress, internalKey } = config;
    if (tls && identityDir !== undefined && dirname(tls.files.keyFile) === identityDir) {
      const leaving = new AbortController();
      await part(
        'renewal of the certificate',
        () => ({ ended: runRenewIdentity(ownIdentity(identityDir), registry, log, leaving.signal) }),
        async ({ ended }) => {
          leaving.abort();
          await ended;
        },
      );
    }
    const eventStore = await client(EventStoreServiceService);
    const scheduler = await client(SchedulerServiceService);
    const leaseThread =
      schedulerAddress === undefined ? undefined : { address: schedulerAddress, headers: internalHeaders(internalKey), tls: tls?.files };
    const settings = { ...config, agentId: agentIdOf(config.agentId, tls?.identity), scheduler: leaseThread, sharesProcess: !isShared };
    const running = await part(
      'instance-agent',
      () => startInstanceAgent({ scheduler, registry, eventStore, log }, settings),
      (started) => started.stop(),
    );
    // Callers that wait for what runs here get their answers while the others still serve.
    drainsFirst(running.stop);
    onForce(running.force);
    dependsOn({ name: "the scheduler's welcome", answers: () => Promise.resolve(running.isAttached()) });
    return { agent: running.agentId };
  },
};

/** The id in the certificate is the agent's: the scheduler accepts no other of it. */
function agentIdOf(name: string | undefined, identity: string | undefined): string | undefined {
  if (identity === undefined) return name;
  const certified = identity.slice('agent/'.length);
  if (name === undefined || name === certified) return certified;
  throw new OperatorError(`EVENFALL_AGENT_NAME is ${name}, and the certificate of this agent is of ${certified}.`);
}
