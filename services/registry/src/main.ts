import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { AccessKeyServiceService } from '@evenfall/contracts/v1/access_key_service';
import { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { QuotaServiceService } from '@evenfall/contracts/v1/quota_service';
import { bind } from '@evenfall/rpc';
import { runService } from '@evenfall/service-main';
import { systemClock } from '@evenfall/time';
import { readConfig } from './config.ts';
import { startRegistry } from './service.ts';

await runService({
  name: 'registry',
  readConfig: () => readConfig(process.env),
  async start({ config, log, part, pool, serve }) {
    const sql = await pool({ max: 8 });
    const registry = await part(
      'registry',
      () => startRegistry({ sql, log, clock: systemClock }, config),
      (started) => started.stop(),
    );
    const services = [
      bind(RegistryServiceService, registry.registry),
      bind(FunctionServiceService, registry.functions),
      bind(AccessKeyServiceService, registry.accessKeys),
      bind(QuotaServiceService, registry.quotas),
    ];
    return { grpc: await serve(services) };
  },
});
