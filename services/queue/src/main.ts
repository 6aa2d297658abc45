import { EventStoreServiceService } from '@evenfall/contracts/event_store/v1/event_store_service';
import { QueueServiceService } from '@evenfall/contracts/queue/v1/queue_service';
import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { bind } from '@evenfall/rpc';
import { openTopics, runService } from '@evenfall/service-main';
import { readConfig } from './config.ts';
import { startQueue } from './service.ts';

await runService({
  name: 'queue',
  readConfig: () => readConfig(process.env),
  async start({ config, log, part, eventLog, peer, serve, reportsFaults }) {
    const eventStore = (await peer('event-store', config.eventStoreAddress, { spread: true })).client(EventStoreServiceService);
    const scheduler = (await peer('scheduler', config.schedulerAddress)).client(SchedulerServiceService);
    const registry = (await peer('registry', config.registryAddress)).client(RegistryServiceService);
    const records = await eventLog(config);
    const topics = await part(
      'topics',
      () => openTopics(config, log),
      (opened) => opened?.close(),
    );
    const queue = await part(
      'queue',
      () => startQueue({ eventLog: records, eventStore, scheduler, registry, topics, log }, config),
      (started) => started.stop(),
    );
    reportsFaults(queue.faults);
    return { grpc: await serve([bind(QueueServiceService, queue.api)]) };
  },
});
