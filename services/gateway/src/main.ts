import { EventStoreServiceService } from '@evenfall/contracts/event_store/v1/event_store_service';
import { QueueServiceService } from '@evenfall/contracts/queue/v1/queue_service';
import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { AccessKeyServiceService } from '@evenfall/contracts/v1/access_key_service';
import { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { QuotaServiceService } from '@evenfall/contracts/v1/quota_service';
import { hostAndPort, runService } from '@evenfall/service-main';
import { readConfig } from './config.ts';
import { startGateway } from './service.ts';

await runService({
  name: 'gateway',
  readConfig: () => readConfig(process.env),
  async start({ config, log, part, peer, peers, dependsOn, away }) {
    const registry = await peer('registry', config.registryAddress);
    const scheduler = await peer('scheduler', config.schedulerAddress);
    // Somebody waits for the answers of these streams: that the event-store is away is one.
    const eventStore = await peer('event-store', config.eventStoreAddress, { streamsWait: false, spread: true });
    const queues = (await peers('queue', config.queueAddresses)).map((queue) => queue.client(QueueServiceService));
    const ports = {
      functions: registry.client(FunctionServiceService),
      accessKeys: registry.client(AccessKeyServiceService),
      quotas: registry.client(QuotaServiceService),
      registry: registry.client(RegistryServiceService),
      queues,
      scheduler: scheduler.client(SchedulerServiceService),
      eventStore: eventStore.client(EventStoreServiceService),
      log,
    };
    const gateway = await part(
      'gateway',
      () => startGateway(ports, config.gateway, away),
      (started) => started.stop(),
    );
    dependsOn({ name: "the registry's watch", answers: () => Promise.resolve(gateway.isWatching()) });
    return {
      http: `http://${hostAndPort(config.host, gateway.httpPort)}`,
      grpc: hostAndPort(config.host, gateway.grpcPort),
    };
  },
});
