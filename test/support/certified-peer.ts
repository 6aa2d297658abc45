import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openAuthority } from '@evenfall/certificates';
import { openPeer, openPeerTls, type Peer } from '@evenfall/rpc';
import type { TestCluster } from './cluster.ts';

/** A connection to a service of a cluster with TLS, with a certificate of the cluster's authority for any identity. Closing it closes all of it. */
export async function certifiedPeer(
  cluster: TestCluster,
  identity: string,
  service: 'scheduler' | 'registry' | 'event-store',
): Promise<Peer> {
  const dir = join(cluster.dataDir, `fake-${process.hrtime.bigint()}`);
  mkdirSync(dir);
  const ca = join(cluster.dataDir, 'tls');
  const { certificate, key } = await (await openAuthority(ca)).issue(identity, { days: 1 });
  const files = { caFile: join(ca, 'ca.pem'), certificateFile: join(dir, 'cert.pem'), keyFile: join(dir, 'key.pem') };
  writeFileSync(files.certificateFile, certificate);
  writeFileSync(files.keyFile, key);
  const tls = await openPeerTls(files, { onFault: () => undefined });
  const peer = openPeer(cluster.process(service).addresses['grpc'] ?? '', {
    secure: { tls, identity: service },
    headers: { authorization: `Bearer ${cluster.internalKey}` },
  });
  return {
    ...peer,
    close() {
      peer.close();
      tls.close();
    },
  };
}
