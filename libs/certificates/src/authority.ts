import 'reflect-metadata'; // @peculiar/x509 is built on it
import { randomBytes, webcrypto } from 'node:crypto';
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
  /**
   * Issues a certificate with one identity, for a server as well as a client. `names` are host names and IP addresses it may be reached by beside.
   * Throws an `OperatorError` for an identity that is none.
   */
  issue(identity: string, options: { readonly days: number; readonly names?: readonly string[]; readonly nowMs?: number }): Promise<Issued>;
};

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const CA_DAYS = 3_650;
const DAY_MS = 86_400_000;
/** Clocks of hosts differ. */
const EARLIER_MS = 300_000;
const OTHERS = 0o077;
/** Most serial numbers that a certificate may have: 20 bytes, positive. */
const SERIAL_BYTES = 16;

/** Makes an authority in a folder that has none. Throws an `OperatorError` if there is one: what trusts it would trust nobody any more. */
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
  return {
    certificate: pem,
    async issue(identity, { days, names = [], nowMs = Date.now() }) {
      if (!isIdentity(identity))
        throw new OperatorError(`"${identity}" is no identity: write the name of a service, or agent/ and the name of an agent.`);
      const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
      const issued = await x509.X509CertificateGenerator.create({
        serialNumber: serial(),
        subject: `CN=${identity.replaceAll('/', ' ')}`,
        issuer: certificate.subject,
        notBefore: new Date(nowMs - EARLIER_MS),
        notAfter: new Date(nowMs + days * DAY_MS),
        signingAlgorithm: ALGORITHM,
        publicKey: keys.publicKey,
        signingKey,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
          new x509.SubjectAlternativeNameExtension([
            { type: 'url', value: identityUri(identity) },
            ...names.map((name) => ({ type: /^[\d.]+$|:/.test(name) ? 'ip' : 'dns', value: name }) as const),
          ]),
          await x509.AuthorityKeyIdentifierExtension.create(caKey),
          await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        ],
      });
      return { certificate: `${issued.toString('pem')}\n`, key: await pemOfKey(keys.privateKey) };
    },
  };
}

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
