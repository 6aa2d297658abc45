import { dirname } from 'node:path';
import { EventStoreServiceService } from '@evenfall/contracts/event_store/v1/event_store_service';
import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { OperatorError } from '@evenfall/errors';
import { internalHeaders, runService } from '@evenfall/service-main';
import { ownIdentity } from './adapters/identity/identity-files.ts';
import { joinPlatform } from './adapters/identity/join-platform.ts';
import { readConfig } from './config.ts';
import { runRenewIdentity } from './loops/renew-identity.ts';
import { startInstanceAgent } from './service.ts';

/** The id in the certificate is the agent's: the scheduler accepts no other from it. */
function agentIdOf(name: string | undefined, identity: string | undefined): string | undefined {
  if (identity === undefined) return name;
  const certified = identity.slice('agent/'.length);
  if (name === undefined || name === certified) return certified;
  throw new OperatorError(`EVENFALL_AGENT_NAME is ${name}, and the certificate of this agent is of ${certified}.`);
}

await runService({
  name: 'instance-agent',
  stopWithinMs: (config) => config.drainDeadlineMs + 15_000,
  readConfig: () => readConfig(process.env),
  async prepare(config, log, signal) {
    if (config.tlsKeyFile !== undefined) return config;
    const { identityDir: dir, agentId, joinToken: token, joinTokenFile: tokenFile, joinCa: authoritySha256, joinAddress: address } = config;
    const files = await joinPlatform({ dir, agentId, token, tokenFile, authoritySha256, address }, log, signal, Date.now);
    if (!files) return config;
    return { ...config, tlsCaFile: files.caFile, tlsCertificateFile: files.certificateFile, tlsKeyFile: files.keyFile };
  },
  async start({ config, log, tls, part, peer, dependsOn, onForce }) {
    const registry = (await peer('registry', config.registryAddress)).client(RegistryServiceService);
    if (tls && dirname(tls.files.keyFile) === config.identityDir) {
      const leaving = new AbortController();
      await part(
        'renewal of the certificate',
        () => ({ ended: runRenewIdentity(ownIdentity(config.identityDir), registry, log, leaving.signal) }),
        async ({ ended }) => {
          leaving.abort();
          await ended;
        },
      );
    }
    const eventStore = (await peer('event-store', config.eventStoreAddress, { spread: true })).client(EventStoreServiceService);
    // The lease runs from the moment the stream is requested: it must not be requested long before it can be opened.
    const scheduler = (await peer('scheduler', config.schedulerAddress, { streamsWait: false })).client(SchedulerServiceService);
    const agent = await part(
      'instance-agent',
      () =>
        startInstanceAgent(
          { scheduler, registry, eventStore, log },
          {
            ...config,
            agentId: agentIdOf(config.agentId, tls?.identity),
            scheduler: { address: config.schedulerAddress, headers: internalHeaders(config.internalKey), tls: tls?.files },
          },
        ),
      (started) => started.stop(),
    );
    onForce(agent.force);
    dependsOn({ name: "the scheduler's welcome", answers: () => Promise.resolve(agent.isAttached()) });
    return { agent: agent.agentId };
  },
});
