import 'reflect-metadata'; // @peculiar/x509 is built on it
import { createHash, randomBytes, webcrypto } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OperatorError } from '@evenfall/errors';
import { identityUri, isIdentity } from '@evenfall/peer-identity';
import * as x509 from '@peculiar/x509';

/** A certificate and its key, PEM. */
export type Issued = { readonly certificate: string; readonly key: string };

/** A certificate authority in a folder. */
export type Authority = {
  /** Its own certificate, PEM: what services trust. */
  readonly certificate: string;
  /** SHA-256 of its certificate, lower-case hex. */
  readonly sha256: string;
  /**
   * Issues a certificate for the key of a signing request (PEM), which has to be signed with it; nothing else of the request counts. `uris` are further
   * names beside the identity. Throws an `OperatorError` for a request that is none, and for a key that is not of P-256.
   */
  sign(
    identity: string,
    request: string,
    options: { readonly validMs: number; readonly uris?: readonly string[]; readonly nowMs?: number },
  ): Promise<string>;
  /**
   * Issues a certificate with one identity, for a server as well as a client. `names` are host names and IP addresses it may be reached by beside.
   * Throws an `OperatorError` for an identity that is none.
   */
  issue(identity: string, options: { readonly days: number; readonly names?: readonly string[]; readonly nowMs?: number }): Promise<Issued>;
  /** Issues a certificate for a server of other software, such as a database: it has a host name, no identity of a service, and is not valid for clients. */
  issueServer(host: string, options: { readonly days: number; readonly nowMs?: number }): Promise<Issued>;
};

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const CA_DAYS = 3_650;
const HOST = /^[a-z0-9][a-z0-9.-]{0,252}$/;
const DAY_MS = 86_400_000;
/** Clocks of hosts differ: a certificate says that it is good from so long before it was made. */
export const EARLIER_MS = 300_000;
const OTHERS = 0o077;
/** Most serial numbers that a certificate may have: 20 bytes, positive. */
const SERIAL_BYTES = 16;

/** Makes an authority in a folder that has none. Throws an `OperatorError` if there is one: certificates of the old authority would not be trusted any more. */
export async function makeAuthority(dir: string): Promise<Authority> {
  const { certificateFile, keyFile } = filesOf(dir);
  if (existsSync(certificateFile) || existsSync(keyFile))
    throw new OperatorError(`There is an authority in ${dir} already. Take another folder, or take it away with all it has issued.`);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const nowMs = Date.now();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: 'CN=Evenfall',
    notBefore: new Date(nowMs - EARLIER_MS),
    notAfter: new Date(nowMs + CA_DAYS * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  writeFileSync(keyFile, await pemOfKey(keys.privateKey), { mode: 0o600, flag: 'wx' });
  writeFileSync(certificateFile, `${certificate.toString('pem')}\n`, { mode: 0o644, flag: 'wx' });
  return openAuthority(dir);
}

/** Opens the authority of a folder. Throws an `OperatorError` if there is none, or others may read its key. */
export async function openAuthority(dir: string): Promise<Authority> {
  const { certificateFile, keyFile } = filesOf(dir);
  if (!existsSync(certificateFile) || !existsSync(keyFile))
    throw new OperatorError(`There is no authority in ${dir}: "evenfall ca init" makes one.`);
  if ((statSync(keyFile).mode & OTHERS) !== 0)
    throw new OperatorError(`${keyFile} can be opened by others: "chmod 600", and a new authority if others have been there.`);
  const pem = readFileSync(certificateFile, 'utf8');
  const certificate = new x509.X509Certificate(pem);
  const signingKey = await importKey(readFileSync(keyFile, 'utf8'));
  const caKey = (await certificate.publicKey.export(ALGORITHM, ['verify'])) as webcrypto.CryptoKey; // x509's own type is the browser's;
  const certify = (identity: string, publicKey: webcrypto.CryptoKey, until: Until): Promise<string> => {
    if (!isIdentity(identity))
      throw new OperatorError(`"${identity}" is no identity: write the name of a service, or agent/ and the name of an agent.`);
    const { names = [] } = until;
    const all = [{ type: 'url', value: identityUri(identity) } as const, ...names];
    return signed(identity, publicKey, { ...until, names: all }, [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]);
  };
  const signed = async (
    subject: string,
    publicKey: webcrypto.CryptoKey,
    { validMs, nowMs = Date.now(), names = [] }: Until,
    usages: x509.ExtendedKeyUsage[],
  ): Promise<string> => {
    const issued = await x509.X509CertificateGenerator.create({
      serialNumber: serial(),
      subject: `CN=${subject.replaceAll('/', ' ')}`,
      issuer: certificate.subject,
      notBefore: new Date(nowMs - EARLIER_MS),
      notAfter: new Date(nowMs + validMs),
      signingAlgorithm: ALGORITHM,
      publicKey,
      signingKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension(usages),
        new x509.SubjectAlternativeNameExtension([...names]),
        await x509.AuthorityKeyIdentifierExtension.create(caKey),
        await x509.SubjectKeyIdentifierExtension.create(publicKey),
      ],
    });
    return `${issued.toString('pem')}\n`;
  };
  return {
    certificate: pem,
    sha256: createHash('sha256').update(Buffer.from(certificate.rawData)).digest('hex'),
    async sign(identity, request, { validMs, uris = [], nowMs }) {
      const publicKey = await keyOfRequest(request);
      const names = uris.map((value) => ({ type: 'url', value }) as const);
      return certify(identity, publicKey, { validMs, names, nowMs });
    },
    async issue(identity, { days, names = [], nowMs }) {
      const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
      const more = names.map((name) => ({ type: /^[\d.]+$|:/.test(name) ? 'ip' : 'dns', value: name }) as const);
      const issued = await certify(identity, keys.publicKey, { validMs: days * DAY_MS, names: more, nowMs });
      return { certificate: issued, key: await pemOfKey(keys.privateKey) };
    },
    async issueServer(host, { days, nowMs }) {
      if (!HOST.test(host)) throw new OperatorError(`"${host}" is not a host name.`);
      const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
      const names = [{ type: 'dns', value: host } as const];
      const issued = await signed(host, keys.publicKey, { validMs: days * DAY_MS, names, nowMs }, [x509.ExtendedKeyUsage.serverAuth]);
      return { certificate: issued, key: await pemOfKey(keys.privateKey) };
    },
  };
}

/** A new key and a request (PEM) to have it certified. Whose it is, the authority says. */
export async function makeSigningRequest(): Promise<{ readonly request: string; readonly key: string }> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({ name: 'CN=Evenfall agent', keys, signingAlgorithm: ALGORITHM });
  return { request: `${request.toString('pem')}\n`, key: await pemOfKey(keys.privateKey) };
}

/** The key that a request asks to have certified. Throws an `OperatorError` for one that does not show that it has the private key. */
async function keyOfRequest(request: string): Promise<webcrypto.CryptoKey> {
  try {
    const parsed = new x509.Pkcs10CertificateRequest(request);
    const { name, namedCurve } = parsed.publicKey.algorithm as { name?: string; namedCurve?: string }; // of an elliptic curve; looked at
    if (name === ALGORITHM.name && namedCurve === ALGORITHM.namedCurve && (await parsed.verify()))
      return (await parsed.publicKey.export(ALGORITHM, ['verify'])) as webcrypto.CryptoKey; // x509's own type is the browser's
  } catch (cause) {
    throw new OperatorError('The signing request cannot be read.', { cause });
  }
  throw new OperatorError('The signing request is not signed with the key of P-256 that it is for.');
}

type Until = {
  readonly validMs: number;
  readonly nowMs?: number | undefined;
  readonly names?: readonly { readonly type: 'url' | 'ip' | 'dns'; readonly value: string }[];
};

function filesOf(dir: string): { readonly certificateFile: string; readonly keyFile: string } {
  return { certificateFile: join(dir, 'ca.pem'), keyFile: join(dir, 'ca-key.pem') };
}

function serial(): string {
  const bytes = randomBytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40; // positive, and never shortened
  return bytes.toString('hex');
}

async function pemOfKey(key: webcrypto.CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`;
}

function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const [der] = x509.PemConverter.decode(pem);
  if (!der) throw new OperatorError('ca-key.pem holds no key.');
  return webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
}
