import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { AccessKeyServiceService } from '@evenfall/contracts/v1/access_key_service';
import { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { QuotaServiceService } from '@evenfall/contracts/v1/quota_service';
import { bind } from '@evenfall/rpc';
import { hostAndPort, type ServiceDescriptor } from '@evenfall/service-main';
import { systemClock } from '@evenfall/time';
import { startJoinServer } from './adapters/join-server.ts';
import { openJoining } from './adapters/open-joining.ts';
import { readConfig, registrySettings } from './config.ts';
import { type RegistrySettings, startRegistry } from './service.ts';

type Process = ReturnType<typeof readConfig>;
/** In one process no agent joins from elsewhere. */
export type RegistryConfig = RegistrySettings & Partial<Pick<Process, 'joinAuthority' | 'joinValidMs' | 'joinPort' | 'tlsCaFile' | 'host'>>;

export const registry: ServiceDescriptor<RegistryConfig, Process> = {
  name: 'registry',
  settings: { own: registrySettings, read: readConfig },
  dependencies: {},
  async start({ config, log, tls, part, pool, serve }) {
    const joining = await openJoining(config, log);
    const sql = await pool({ max: 8 });
    const running = await part(
      'registry',
      () => startRegistry({ sql, log, clock: systemClock, joining }, config),
      (started) => started.stop(),
    );
    const words = await serve([
      bind(RegistryServiceService, running.registry),
      bind(FunctionServiceService, running.functions),
      bind(AccessKeyServiceService, running.accessKeys),
      bind(QuotaServiceService, running.quotas),
    ]);
    const { host, joinPort } = config;
    if (!joining || !tls || host === undefined || joinPort === undefined) return words;
    const authority = joining.authority.certificate;
    const join = await part(
      'join port',
      () => startJoinServer({ host, port: joinPort, tls: tls.files, authority, join: running.join, log }),
      (server) => server.stop(),
    );
    return { ...words, join: hostAndPort(host, join.port), authority: joining.authority.sha256 };
  },
};
