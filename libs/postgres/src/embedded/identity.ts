import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { OperatorError } from '@evenfall/errors';

/** How to run a server that refuses to be root. */
export type Identity = {
  /** Words to put before the command. */
  readonly prefix: readonly string[];
  /** Ids to switch to; undefined to stay. */
  readonly uid?: number;
  readonly gid?: number;
};

/** Accounts tried in turn: the server looks its own name up, so the id must have one. */
const ACCOUNTS = ['postgres', 'daemon', 'nobody']; // cspell:ignore nobody -- the name of an account of the system

/**
 * Finds an identity Postgres accepts. An ordinary user is one already, if its id has a name: initdb and the server look it up, and an id that a container or
 * an NFS server made up has none. Such a user gets a user namespace that shows it as an account with a name. Throws an OperatorError where that is not
 * possible either. Root first tries a user namespace that shows root as another id:
 * the server then sees an ordinary user while the kernel still lets it into root's folders, so a clone under a 0700 home works, and
 * nothing changes owner. Where namespaces are shut off it switches to an ordinary account, which must be able to reach the folders.
 */
export function findIdentity(): Identity {
  const dieWithParent = works('setpriv', ['--pdeathsig', 'INT', 'true']) ? ['setpriv', '--pdeathsig', 'INT'] : [];
  const uid = process.getuid?.();
  if (uid !== 0 && hasName()) return { prefix: dieWithParent };
  const account = findAccount();
  const unshare = account && ['unshare', '--user', `--map-user=${account.uid}`, `--map-group=${account.gid}`, '--'];
  if (unshare && works('unshare', [...unshare.slice(1), 'true'])) return { prefix: [...unshare, ...dieWithParent] };
  if (uid !== 0) throw new OperatorError(NAMELESS.replace('{uid}', String(uid)));
  if (!account) return { prefix: dieWithParent };
  return { prefix: dieWithParent, uid: account.uid, gid: account.gid };
}

const NAMELESS =
  'The embedded Postgres cannot start: the user id {uid} has no name on this machine (no row in /etc/passwd), which Postgres asks for, and user namespaces, which would show it under one, are off. Add a row for the id, run as a user that has one, or set EVENFALL_POSTGRES_URL.';

function hasName(): boolean {
  try {
    userInfo();
    return true;
  } catch {
    return false; // the system knows no account with this id
  }
}

function works(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

function findAccount(): { uid: number; gid: number } | undefined {
  let text = '';
  try {
    text = readFileSync('/etc/passwd', 'utf8');
  } catch {
    return undefined; // no accounts here: the server will say what it lacks
  }
  const rows = text.split('\n').map((line) => line.split(':'));
  for (const name of ACCOUNTS) {
    const row = rows.find((fields) => fields[0] === name);
    if (row?.[2] && row[3]) return { uid: Number(row[2]), gid: Number(row[3]) };
  }
  return undefined;
}
