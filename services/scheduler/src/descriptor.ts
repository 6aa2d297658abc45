import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { bind } from '@evenfall/rpc';
import type { ServiceDescriptor } from '@evenfall/service-main';
import { readConfig, schedulerSettings } from './config.ts';
import { type SchedulerSettings, startScheduler } from './service.ts';

export const scheduler: ServiceDescriptor<SchedulerSettings, ReturnType<typeof readConfig>> = {
  name: 'scheduler',
  settings: { own: schedulerSettings, read: readConfig },
  dependencies: { registry: { services: [RegistryServiceService] } },
  async start({ config, log, isShared, part, client, serve, reportsFaults }) {
    const registry = await client(RegistryServiceService);
    const running = await part(
      'scheduler',
      () => startScheduler({ registry, log, isShared }, config),
      (started) => started.stop(),
    );
    if (isShared) reportsFaults(running.faults); // in one process the keys of grants are a call away
    return serve([bind(SchedulerServiceService, running.api)]);
  },
};
