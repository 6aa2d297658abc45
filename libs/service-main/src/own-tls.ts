import { OperatorError } from '@evenfall/errors';
import { openPeerTls, type PeerTls } from '@evenfall/rpc';
import type { Log } from '@evenfall/telemetry';
import type { ServiceName } from './settings.ts';

export type TlsConfig = {
  readonly tlsCaFile?: string | undefined;
  readonly tlsCertificateFile?: string | undefined;
  readonly tlsKeyFile?: string | undefined;
};

/** Opens the certificate of a process; undefined where none is set. Throws an `OperatorError` if it is that of another service. */
export async function openOwnTls(name: ServiceName, config: TlsConfig, log: Log): Promise<PeerTls | undefined> {
  const { tlsCaFile: caFile, tlsCertificateFile: certificateFile, tlsKeyFile: keyFile } = config;
  if (caFile === undefined || certificateFile === undefined || keyFile === undefined) return undefined;
  const onFault = (why: string): void => log.warn('TLS', { why });
  const tls = await openPeerTls({ caFile, certificateFile, keyFile }, { onFault });
  const isOwn = name === 'instance-agent' ? tls.identity.startsWith('agent/') : tls.identity === name;
  if (isOwn) return tls;
  tls.close();
  const wanted = name === 'instance-agent' ? 'agent/<name>' : name;
  throw new OperatorError(
    `EVENFALL_TLS_CERT=${certificateFile} is of ${tls.identity}; this process is ${wanted}: "evenfall ca issue ${wanted}".`,
  );
}
