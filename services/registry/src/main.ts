import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { AccessKeyServiceService } from '@evenfall/contracts/v1/access_key_service';
import { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { readFile } from 'node:fs/promises';
import { openAuthority } from '@evenfall/certificates';
import { OperatorError } from '@evenfall/errors';
import { QuotaServiceService } from '@evenfall/contracts/v1/quota_service';
import { bind } from '@evenfall/rpc';
import { hostAndPort, runService } from '@evenfall/service-main';
import type { Log } from '@evenfall/telemetry';
import { systemClock } from '@evenfall/time';
import { startJoinServer } from './adapters/join-server.ts';
import { readConfig } from './config.ts';
import type { Joining } from './ports.ts';
import { startRegistry } from './service.ts';

/** Opens the authority that issues certificates for agents, where one is set. Throws an `OperatorError` if services would not trust it. */
async function openJoining(
  { joinAuthority, joinValidMs, tlsCaFile }: ReturnType<typeof readConfig>,
  log: Log,
): Promise<Joining | undefined> {
  if (joinAuthority === undefined || tlsCaFile === undefined) return undefined;
  const authority = await openAuthority(joinAuthority);
  if (!(await readFile(tlsCaFile, 'utf8')).includes(authority.certificate.trim()))
    throw new OperatorError(
      `EVENFALL_JOIN_AUTHORITY=${joinAuthority} is an authority that EVENFALL_TLS_CA=${tlsCaFile} does not have: no service would trust its agents.`,
    );
  log.warn('This registry holds the key of the authority, to certify agents that have a token: who takes it over can be any service', {
    setting: 'EVENFALL_JOIN_AUTHORITY',
    authority_sha256: authority.sha256,
  });
  return { authority, validMs: joinValidMs, authorities: () => readFile(tlsCaFile, 'utf8') };
}

await runService({
  name: 'registry',
  readConfig: () => readConfig(process.env),
  async start({ config, log, tls, part, pool, serve }) {
    const joining = await openJoining(config, log);
    const sql = await pool({ max: 8 });
    const registry = await part(
      'registry',
      () => startRegistry({ sql, log, clock: systemClock, joining }, config),
      (started) => started.stop(),
    );
    const services = [
      bind(RegistryServiceService, registry.registry),
      bind(FunctionServiceService, registry.functions),
      bind(AccessKeyServiceService, registry.accessKeys),
      bind(QuotaServiceService, registry.quotas),
    ];
    const grpc = await serve(services);
    if (!joining || !tls) return { grpc };
    const join = await part(
      'join port',
      () =>
        startJoinServer({
          host: config.host,
          port: config.joinPort,
          tls: tls.files,
          authority: joining.authority.certificate,
          join: registry.join,
          log,
        }),
      (server) => server.stop(),
    );
    return { grpc, join: hostAndPort(config.host, join.port), authority: joining.authority.sha256 };
  },
});
