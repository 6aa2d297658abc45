import { readFile } from 'node:fs/promises';
import { openAuthority } from '@evenfall/certificates';
import { OperatorError } from '@evenfall/errors';
import type { Log } from '@evenfall/telemetry';
import type { Joining } from '../ports.ts';

type JoinSettings = {
  readonly joinAuthority?: string | undefined;
  readonly joinValidMs?: number;
  readonly tlsCaFile?: string | undefined;
};

/** Opens the authority that issues certificates for agents, where one is set. Throws an `OperatorError` if services would not trust it. */
export async function openJoining({ joinAuthority, joinValidMs, tlsCaFile }: JoinSettings, log: Log): Promise<Joining | undefined> {
  if (joinAuthority === undefined || joinValidMs === undefined || tlsCaFile === undefined) return undefined;
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
