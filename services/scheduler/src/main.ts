import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { bind } from '@evenfall/rpc';
import { runService } from '@evenfall/service-main';
import { readConfig } from './config.ts';
import { startScheduler } from './service.ts';

await runService({
  name: 'scheduler',
  readConfig: () => readConfig(process.env),
  async start({ config, log, part, peer, serve, reportsFaults }) {
    const registry = await peer('registry', config.registryAddress);
    const scheduler = await part(
      'scheduler',
      () => startScheduler({ registry: registry.client(RegistryServiceService), log, isShared: true }, config),
      (started) => started.stop(),
    );
    reportsFaults(scheduler.faults);
    return { grpc: await serve([bind(SchedulerServiceService, scheduler.api)]) };
  },
});
