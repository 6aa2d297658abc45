import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Authority, makeAuthority, openAuthority } from '@evenfall/certificates';
import { identitiesOf } from '@evenfall/peer-identity';
import { KAFKA, KAFKA_ADMIN, kafkaUsers, makeSecrets, POSTGRES, type Secrets, secretSettings } from './secrets.ts';

/** How long certificates are valid. They are renewed by the first start in their second half. */
const DAYS = 365;

/** The user that owns the files: that of the image of services, root of the image of agents, and the users of the images of Postgres and Kafka. */
const SERVICE_UID = 10_001;
const AGENT_UID = 0;
const STORE_UIDS: Readonly<Record<string, number>> = { [POSTGRES]: 999, [KAFKA]: 1_000 };

export type SetUpOptions = {
  readonly nowMs: number;
  /** Gives a file to a user. */
  own(file: string, uid: number): void;
};

/**
 * Makes what a deployment on one machine needs, and keeps what is there: an authority and secrets in `authority` of a folder, and for each identity a
 * folder of its name with its certificate, its key and its secret settings. Returns whose certificates were issued.
 */
export async function setUp(root: string, identities: readonly string[], options: SetUpOptions): Promise<string[]> {
  const dir = join(root, 'authority');
  const authority = await authorityOf(dir);
  const secrets = secretsOf(dir);
  const issued: string[] = [];
  for (const identity of identities) {
    const folder = join(root, identity);
    mkdirSync(folder, { recursive: true });
    const uid = STORE_UIDS[identity] ?? (identity.startsWith('agent/') ? AGENT_UID : SERVICE_UID);
    const put = (name: string, text: string): void => replace(join(folder, name), text, (file) => options.own(file, uid));
    put('ca.pem', authority.certificate);
    if (identity === KAFKA_ADMIN) {
      put('settings.env', lines(secretSettings(identity, secrets)));
      continue;
    }
    // Clients verify the host name of Postgres and Kafka; these have no identity of a service.
    const isStore = identity in STORE_UIDS;
    const isOfIt = (certificate: X509Certificate): boolean =>
      isStore ? certificate.checkHost(identity) === identity : identitiesOf(certificate.subjectAltName).join() === identity;
    if (!isGood(folder, isOfIt, authority, options.nowMs)) {
      const terms = { days: DAYS, nowMs: options.nowMs };
      const { certificate, key } = await (isStore ? authority.issueServer(identity, terms) : authority.issue(identity, terms));
      // The key first: while the two do not fit together, a running service goes on with those it has.
      put('key.pem', key);
      put('cert.pem', certificate);
      issued.push(identity);
    }
    if (isStore) {
      putStoreFiles(identity, folder, secrets, put);
      continue;
    }
    put('settings.env', lines(secretSettings(identity, secrets)));
    if (identity === 'gateway') put('access-key', secrets.accessKey);
  }
  return issued;
}

/** The passwords of the users of Postgres or Kafka. Kafka reads its key and certificate from one file. */
function putStoreFiles(identity: string, folder: string, secrets: Secrets, put: (name: string, text: string) => void): void {
  if (identity === POSTGRES) {
    put('password', secrets.postgresPassword);
    put('registry-password', secrets.registryPassword);
    put('event-store-password', secrets.eventStorePassword);
    return;
  }
  put('keystore.pem', `${readFileSync(join(folder, 'key.pem'), 'utf8')}${readFileSync(join(folder, 'cert.pem'), 'utf8')}`);
  for (const [user, password] of Object.entries(kafkaUsers(secrets)))
    put(`user-${user}.properties`, `SCRAM-SHA-512=iterations=8192,password=${password}\n`);
}

/** The authority of a folder. One without a certificate was never used: the run that made it was stopped. */
function authorityOf(dir: string): Promise<Authority> {
  if (existsSync(join(dir, 'ca.pem'))) return openAuthority(dir);
  rmSync(join(dir, 'ca-key.pem'), { force: true });
  return makeAuthority(dir);
}

function secretsOf(dir: string): Secrets {
  const file = join(dir, 'secrets.json');
  const kept = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Partial<Secrets>) : {}; // written here, and nowhere else
  const secrets = { ...makeSecrets(), ...kept }; // an earlier release had fewer
  replace(file, `${JSON.stringify(secrets, undefined, 2)}\n`, () => undefined);
  return secrets;
}

/** Whether a folder has a certificate of this authority for its identity or host, with its key, in the first half of its life. */
function isGood(folder: string, isOfIt: (certificate: X509Certificate) => boolean, authority: Authority, nowMs: number): boolean {
  const [certificateFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  if (!existsSync(certificateFile) || !existsSync(keyFile)) return false;
  try {
    const certificate = new X509Certificate(readFileSync(certificateFile));
    const half = (certificate.validFromDate.getTime() + certificate.validToDate.getTime()) / 2;
    return (
      certificate.verify(new X509Certificate(authority.certificate).publicKey) &&
      isOfIt(certificate) &&
      certificate.checkPrivateKey(createPrivateKey(readFileSync(keyFile))) &&
      certificate.validFromDate.getTime() <= nowMs &&
      nowMs < half
    );
  } catch {
    return false; // what cannot be read is replaced
  }
}

function lines(settings: Readonly<Record<string, string>>): string {
  return `${Object.entries(settings).map(([name, value]) => `${name}=${value}`).join('\n')}\n`; // prettier-ignore
}

/** Puts a file that its owner alone may read in the place of another at once. The same text stays as it is. */
function replace(file: string, text: string, own: (file: string) => void): void {
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return own(file);
  const draft = `${file}.new`;
  rmSync(draft, { force: true });
  writeFileSync(draft, text, { mode: 0o400, flag: 'wx' });
  own(draft);
  renameSync(draft, file);
}
