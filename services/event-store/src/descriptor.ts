import { EventEmitter } from 'node:events';
import { EventStoreServiceService } from '@evenfall/contracts/event_store/v1/event_store_service';
import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import type { KafkaSettings } from '@evenfall/event-log/kafka/settings';
import { bind } from '@evenfall/rpc';
import type { ServiceDescriptor } from '@evenfall/service-main';
import { eventStoreSettings, readConfig } from './config.ts';
import { type EventStoreSettings, startEventStore } from './service.ts';

export const eventStore: ServiceDescriptor<EventStoreSettings & KafkaSettings, ReturnType<typeof readConfig>> = {
  name: 'event-store',
  settings: { own: eventStoreSettings, read: readConfig },
  dependencies: { registry: { services: [RegistryServiceService] } },
  async start({ config, log, isShared, part, pool, eventLog, client, serve, reportsFaults }) {
    const sql = await pool({ max: 8, statementTimeoutMs: 15_000 });
    const foldConnection = new EventEmitter<{ close: [] }>();
    const foldSql = await pool({ name: 'fold', max: 1, asyncCommit: true, onClose: () => foldConnection.emit('close') });
    const registry = await client(RegistryServiceService);
    const records = await eventLog(config);
    const running = await part(
      'event-store',
      () => startEventStore({ sql, foldSql, foldConnection, eventLog: records, registry, log, isShared }, config),
      (started) => started.stop(),
    );
    reportsFaults(running.faults);
    return serve([bind(EventStoreServiceService, running.api)]);
  },
};
