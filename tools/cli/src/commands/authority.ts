import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeAuthority, openAuthority } from '@evenfall/certificates';
import type { Context } from '../context.ts';
import { usage } from '../failure.ts';

export type AuthorityOptions = { readonly dir: string };
export type IssueOptions = AuthorityOptions & { readonly out?: string; readonly days: string; readonly name: readonly string[] };

const MOST_DAYS = 825;

/** Makes the authority of a platform: what issues the certificates of its services and agents. */
export async function initAuthority(context: Context, { dir }: AuthorityOptions): Promise<void> {
  await makeAuthority(dir);
  context.terminal.show({ certificate: join(dir, 'ca.pem'), key: join(dir, 'ca-key.pem') }, ({ certificate, key }) =>
    [
      `${certificate}  what every service trusts: EVENFALL_TLS_CA`,
      `${key}  issues certificates: keep it away from the hosts of services`,
      '',
      'Next: "evenfall ca issue gateway", and the same for registry, queue, scheduler, event-store, and agent/<name> for each agent.',
    ].join('\n'),
  );
}

/** Issues a certificate with its key. One that was there is replaced: a running process uses the new one within seconds. */
export async function issueCertificate(context: Context, identity: string, options: IssueOptions): Promise<void> {
  const days = Number(options.days);
  if (!Number.isInteger(days) || days < 1 || days > MOST_DAYS) throw usage(`--days is a number from 1 to ${MOST_DAYS}`);
  const authority = await openAuthority(options.dir);
  const issued = await authority.issue(identity, { days, names: options.name });
  const out = options.out ?? options.dir;
  if (!existsSync(out)) mkdirSync(out, { recursive: true, mode: 0o700 });
  const stem = join(out, identity.replace('/', '-'));
  const files = { ca: join(out, 'ca.pem'), certificate: `${stem}.pem`, key: `${stem}-key.pem` };
  // The key first: until both are new they do not fit together, and a process that looks between goes on with the old ones.
  replace(files.key, issued.key, 0o600);
  replace(files.certificate, issued.certificate, 0o644);
  if (out !== options.dir) replace(files.ca, authority.certificate, 0o644);
  context.terminal.show({ identity, days, ...files }, () =>
    [`EVENFALL_TLS_CA=${files.ca}`, `EVENFALL_TLS_CERT=${files.certificate}`, `EVENFALL_TLS_KEY=${files.key}`].join('\n'),
  );
}

/** Puts a new file in the place of an old one at once. */
function replace(file: string, text: string, mode: number): void {
  const draft = `${file}.new`;
  rmSync(draft, { force: true });
  writeFileSync(draft, text, { mode, flag: 'wx' });
  renameSync(draft, file);
}
