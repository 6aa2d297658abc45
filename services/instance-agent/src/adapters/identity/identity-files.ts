import { X509Certificate } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { identitiesOf } from '@evenfall/peer-identity';
import type { TlsFiles } from '@evenfall/rpc';
import type { OwnIdentity } from '../../ports.ts';

/** The certificate that an agent got by a token. */
export type KeptIdentity = { readonly identity: string; readonly issuedMs: number; readonly expiresMs: number };

/** Certificates are good from a little before they were made. */
const EARLIER_MS = 300_000;

/** Where it is kept, in a folder of its own that no function sees. */
export function identityFiles(dir: string): TlsFiles {
  return { caFile: join(dir, 'ca.pem'), certificateFile: join(dir, 'cert.pem'), keyFile: join(dir, 'key.pem') };
}

/** Keeps a new certificate and its key, mode 0600. The key first: until both are new they do not fit together, and a reader goes on with the old ones. */
export function keepIdentity(dir: string, { certificate, key, ca }: { certificate: string; key: string; ca?: string }): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  chmodSync(dir, 0o700);
  const files = identityFiles(dir);
  if (ca !== undefined) replace(files.caFile, ca);
  replace(files.keyFile, key);
  replace(files.certificateFile, certificate);
}

/** What is kept; undefined if there is none that can be read. */
export function keptIdentity(dir: string): KeptIdentity | undefined {
  try {
    const certificate = new X509Certificate(readFileSync(identityFiles(dir).certificateFile));
    const [identity] = identitiesOf(certificate.subjectAltName);
    if (identity === undefined) return undefined;
    return { identity, issuedMs: certificate.validFromDate.getTime() + EARLIER_MS, expiresMs: certificate.validToDate.getTime() };
  } catch {
    return undefined;
  }
}

/** A key that is kept until its certificate is there, so that the same request can be sent again. */
export function pendingRequest(dir: string): { readonly request: string; readonly key: string } | undefined {
  try {
    return { request: readFileSync(join(dir, 'request.pem'), 'utf8'), key: readFileSync(join(dir, 'request-key.pem'), 'utf8') };
  } catch {
    return undefined;
  }
}

export function keepRequest(dir: string, { request, key }: { readonly request: string; readonly key: string }): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  chmodSync(dir, 0o700);
  replace(join(dir, 'request-key.pem'), key);
  replace(join(dir, 'request.pem'), request);
}

function replace(file: string, text: string): void {
  const draft = `${file}.new`;
  writeFileSync(draft, text, { mode: 0o600 });
  chmodSync(draft, 0o600); // one that was left over keeps its mode
  renameSync(draft, file);
}

/** What the renewal works with. */
export function ownIdentity(dir: string): OwnIdentity {
  return {
    kept: () => keptIdentity(dir),
    newRequest: async () => (await import('@evenfall/certificates')).makeSigningRequest(), // not loaded by agents that need it not
    keep: (renewed) => keepIdentity(dir, renewed),
  };
}
