import { EventStoreServiceService } from '@evenfall/contracts/event_store/v1/event_store_service';
import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { bind } from '@evenfall/rpc';
import { runService } from '@evenfall/service-main';
import { readConfig } from './config.ts';
import { startEventStore } from './service.ts';

await runService({
  name: 'event-store',
  readConfig: () => readConfig(process.env),
  async start({ config, log, part, pool, eventLog, peer, serve, reportsFaults }) {
    const sql = await pool({ max: 8, statementTimeoutMs: 15_000 });
    let foldLost = (): void => undefined;
    const foldSql = await pool({ name: 'fold', max: 1, asyncCommit: true, onClose: () => foldLost() });
    const registry = (await peer('registry', config.registryAddress)).client(RegistryServiceService);
    const records = await eventLog(config);
    const eventStore = await part(
      'event-store',
      () => startEventStore({ sql, foldSql, eventLog: records, registry, log }, config),
      (started) => started.stop(),
    );
    ({ foldLost } = eventStore);
    reportsFaults(eventStore.faults);
    return { grpc: await serve([bind(EventStoreServiceService, eventStore.api)]) };
  },
});
