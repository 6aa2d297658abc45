import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeAuthority, openAuthority } from '@evenfall/certificates';

/** Longer than a cluster of one machine runs; every start creates new ones. */
const DAYS = 90;

/** Settings of the certificate of each process of a cluster, by identity. The authority is made at the first start. */
export async function clusterCertificates(dir: string): Promise<(identity: string) => Promise<Record<string, string>>> {
  const authority = await (existsSync(join(dir, 'ca.pem')) ? openAuthority(dir) : makeAuthority(dir));
  return async (identity) => {
    const own = join(dir, identity.replace('/', '-'));
    mkdirSync(own, { recursive: true, mode: 0o700 });
    const { certificate, key } = await authority.issue(identity, { days: DAYS });
    writeFileSync(join(own, 'key.pem'), key, { mode: 0o600 });
    writeFileSync(join(own, 'cert.pem'), certificate);
    return { EVENFALL_TLS_CA: join(dir, 'ca.pem'), EVENFALL_TLS_CERT: join(own, 'cert.pem'), EVENFALL_TLS_KEY: join(own, 'key.pem') };
  };
}
