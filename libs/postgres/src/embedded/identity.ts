import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** How to run a server that refuses to be root. */
export type Identity = {
  /** Words to put before the command. */
  readonly prefix: readonly string[];
  /** Ids to switch to; undefined to stay. */
  readonly uid?: number;
  readonly gid?: number;
};

/** Accounts tried in turn: the server looks its own name up, so the id must have one. */
const ACCOUNTS = ['postgres', 'daemon', 'nobody'];

/**
 * Finds an identity Postgres accepts. An ordinary user is one already. Root first tries a user namespace that shows root as another id:
 * the server then sees an ordinary user while the kernel still lets it into root's folders, so a clone under a 0700 home works, and
 * nothing changes owner. Where namespaces are shut off it switches to an ordinary account, which must be able to reach the folders.
 */
export function findIdentity(): Identity {
  const dieWithParent = works('setpriv', ['--pdeathsig', 'INT', 'true']) ? ['setpriv', '--pdeathsig', 'INT'] : [];
  if (process.getuid?.() !== 0) return { prefix: dieWithParent };
  const account = findAccount();
  if (!account) return { prefix: dieWithParent };
  const unshare = ['unshare', '--user', `--map-user=${account.uid}`, `--map-group=${account.gid}`, '--'];
  if (works('unshare', [...unshare.slice(1), 'true'])) return { prefix: [...unshare, ...dieWithParent] };
  return { prefix: dieWithParent, uid: account.uid, gid: account.gid };
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
