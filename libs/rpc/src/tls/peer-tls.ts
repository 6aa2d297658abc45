import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { OperatorError } from '@evenfall/errors';
import { identitiesOf } from '@evenfall/peer-identity';
import * as grpc from '@grpc/grpc-js';
import { type Certificates, createCertificates } from './certificates.ts';

/** PEM files: the trusted authorities, and the own certificate and key. */
export type TlsFiles = { readonly caFile: string; readonly certificateFile: string; readonly keyFile: string };

/** The certificate of this process, by which others of the platform know it. */
export type PeerTls = {
  /** Who this process is by its certificate. */
  readonly identity: string;
  readonly files: TlsFiles;
  /** Of a server: every caller has to have a certificate of the same authority. */
  serverCredentials(): grpc.ServerCredentials;
  /** Of a client: the server has to have this identity, whatever its address. */
  channelCredentials(expected: string): grpc.ChannelCredentials;
  /** When the certificate in use runs out, milliseconds since 1970. */
  expiresMs(): number;
  close(): void;
};

export type PeerTlsOptions = {
  /** Called once for new files that cannot be used, and once for a certificate that is about to run out. */
  readonly onFault: (why: string) => void;
  /** How often the files are looked at. Default 5 s. */
  readonly lookMs?: number;
};

const LOOK_MS = 5_000;
/** Said so long before a certificate runs out. */
const WARN_MS = 7 * 86_400_000;

/**
 * Reads the files, and looks at them again every few seconds: new ones are used for the connections from then on. New files that do not fit together, or
 * name another identity, change nothing. Throws an `OperatorError` if the first ones are no good.
 */
export async function openPeerTls(files: TlsFiles, { onFault, lookMs = LOOK_MS }: PeerTlsOptions): Promise<PeerTls> {
  let loaded = await load(files);
  const certificates = createCertificates(loaded);
  let lastFault = '';
  const report = (why: string): void => {
    if (why !== '' && why !== lastFault) onFault(why);
    lastFault = why;
  };
  const look = async (): Promise<void> => {
    try {
      const next = await load(files);
      if (next.identity !== loaded.identity)
        throw new OperatorError(`${files.certificateFile} is of ${next.identity} now, and was of ${loaded.identity}: restart the process.`);
      const isSame = (['ca', 'certificate', 'key'] as const).every((part) => next[part].equals(loaded[part]));
      loaded = next;
      if (!isSame) certificates.publish(next);
      const isLate = next.expiresMs - Date.now() < WARN_MS;
      report(isLate ? `${files.certificateFile} runs out at ${new Date(next.expiresMs).toISOString()}` : '');
    } catch (error) {
      report(error instanceof Error ? error.message : String(error));
    }
  };
  const timer = setInterval(() => void look(), lookMs);
  timer.unref();
  const { createCertificateProviderServerCredentials, createCertificateProviderChannelCredentials } = grpc.experimental;
  return {
    identity: loaded.identity,
    files,
    serverCredentials: () => createCertificateProviderServerCredentials(certificates, certificates, true),
    channelCredentials: (expected) =>
      createCertificateProviderChannelCredentials(certificates, certificates, {
        checkServerIdentity(_host, { subjectaltname }) {
          const found = identitiesOf(subjectaltname);
          if (found.length === 1 && found[0] === expected) return undefined;
          return new Error(`the server is ${found.join(' and ') || 'no service of this platform'}, not ${expected}`);
        },
      }),
    expiresMs: () => loaded.expiresMs,
    close: () => clearInterval(timer),
  };
}

type Loaded = Certificates & { readonly identity: string; readonly expiresMs: number };

async function load({ caFile, certificateFile, keyFile }: TlsFiles): Promise<Loaded> {
  const [ca, certificate, key] = await Promise.all([caFile, certificateFile, keyFile].map(readPem));
  if (!ca || !certificate || !key) throw new OperatorError('A file of TLS is missing.'); // three were asked for
  const trusted = parsed(caFile, () => certificatesIn(ca));
  const own = parsed(certificateFile, () => new X509Certificate(certificate));
  const privateKey = parsed(keyFile, () => createPrivateKey(key));
  if (!own.checkPrivateKey(privateKey)) throw new OperatorError(`${keyFile} is not the key of ${certificateFile}.`);
  const identities = identitiesOf(own.subjectAltName);
  const [identity] = identities;
  if (identity === undefined || identities.length !== 1)
    throw new OperatorError(
      `${certificateFile} has ${identities.length === 0 ? 'no identity' : 'several identities'}: "evenfall ca issue" makes one that has one.`,
    );
  // Of an authority with others between, the chain is in the file of the certificate, and is checked by who is shown it.
  const issuers = trusted.filter(({ subject }) => subject === own.issuer);
  if (issuers.length > 0 && !issuers.some(({ publicKey }) => own.verify(publicKey)))
    throw new OperatorError(`${certificateFile} was not issued by ${caFile}.`);
  const expiresMs = own.validToDate.getTime();
  if (expiresMs <= Date.now()) throw new OperatorError(`${certificateFile} has run out at ${own.validToDate.toISOString()}.`);
  return { ca, certificate, key, identity, expiresMs };
}

/** All certificates of a file: while an authority is replaced, the old one and the new one are trusted. */
function certificatesIn(pem: Buffer): X509Certificate[] {
  const blocks = pem.toString('latin1').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new Error('there is no certificate in it');
  return blocks.map((block) => new X509Certificate(block));
}

async function readPem(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw new OperatorError(`${file} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

function parsed<T>(file: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new OperatorError(`${file} is not what it should be: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
