import { EventStoreServiceService } from '@evenfall/contracts/event_store/v1/event_store_service';
import { QueueServiceService } from '@evenfall/contracts/queue/v1/queue_service';
import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { AccessKeyServiceService } from '@evenfall/contracts/v1/access_key_service';
import { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { QuotaServiceService } from '@evenfall/contracts/v1/quota_service';
import { hostAndPort, type ServiceDescriptor } from '@evenfall/service-main';
import { GATEWAY_SETTINGS, readConfig } from './config.ts';
import { type GatewaySettings, startGateway } from './service.ts';

export type GatewayConfig = { readonly gateway: GatewaySettings };

export const gateway: ServiceDescriptor<GatewayConfig, ReturnType<typeof readConfig>> = {
  name: 'gateway',
  settings: { own: GATEWAY_SETTINGS, read: readConfig },
  dependencies: {
    registry: { services: [FunctionServiceService, AccessKeyServiceService, QuotaServiceService, RegistryServiceService] },
    scheduler: { services: [SchedulerServiceService] },
    // A caller waits for the answers of these streams: that the event-store is away is one.
    'event-store': { services: [EventStoreServiceService], streamsWait: false, spread: true },
    queue: { services: [QueueServiceService] },
  },
  async start({ config, log, part, client, clients, dependsOn, away }) {
    const ports = {
      functions: await client(FunctionServiceService),
      accessKeys: await client(AccessKeyServiceService),
      quotas: await client(QuotaServiceService),
      registry: await client(RegistryServiceService),
      scheduler: await client(SchedulerServiceService),
      eventStore: await client(EventStoreServiceService),
      queues: await clients(QueueServiceService),
      log,
    };
    const running = await part(
      'gateway',
      () => startGateway(ports, config.gateway, away),
      (started) => started.stop(),
    );
    dependsOn({ name: "the registry's watch", answers: () => Promise.resolve(running.isWatching()) });
    const { host } = config.gateway;
    return { http: `http://${hostAndPort(host, running.httpPort)}`, grpc: hostAndPort(host, running.grpcPort) };
  },
};
