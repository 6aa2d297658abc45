import { EventStoreServiceService } from '@evenfall/contracts/event_store/v1/event_store_service';
import { QueueServiceService } from '@evenfall/contracts/queue/v1/queue_service';
import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { KafkaSettings } from '@evenfall/event-log/kafka/settings';
import { bind } from '@evenfall/rpc';
import { openTopics, type ServiceDescriptor } from '@evenfall/service-main';
import { queueSettings, readConfig } from './config.ts';
import { type QueueSettings, startQueue } from './service.ts';

export const queue: ServiceDescriptor<QueueSettings & KafkaSettings, ReturnType<typeof readConfig>> = {
  name: 'queue',
  settings: { own: queueSettings, read: readConfig },
  dependencies: {
    'event-store': { services: [EventStoreServiceService], spread: true },
    scheduler: { services: [SchedulerServiceService] },
    registry: { services: [RegistryServiceService] },
  },
  async start({ config, log, part, eventLog, client, serve, reportsFaults }) {
    const eventStore = await client(EventStoreServiceService);
    const scheduler = await client(SchedulerServiceService);
    const registry = await client(RegistryServiceService);
    const records = await eventLog(config);
    const topics = await part(
      'topics',
      () => openTopics(config, log),
      (opened) => opened?.close(),
    );
    const running = await part(
      'queue',
      () => startQueue({ eventLog: records, eventStore, scheduler, registry, topics, log }, config),
      (started) => started.stop(),
    );
    reportsFaults(running.faults);
    return serve([bind(QueueServiceService, running.api)]);
  },
};
