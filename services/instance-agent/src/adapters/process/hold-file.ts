import { spawn } from 'node:child_process';
import { accessSync, constants, lstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { OperatorError } from '@evenfall/errors';

/** For claims of the agents of one host; the second where the first is read-only, as in a container. */
const FOLDERS = ['/run/evenfall', '/dev/shm/evenfall'];

/**
 * Claims a name of this host for as long as this process lives, or until it is given back: a lock on a file of root's, which a small process of the
 * launcher's holds and the kernel drops with it. undefined if somebody has it. Throws where there is no folder of the agent's user alone: nobody
 * else, above all no function, may make claims.
 */
export async function holdFile(launcher: string, name: string, folders = FOLDERS): Promise<(() => void) | undefined> {
  const folder = folders.find(isWritable);
  if (folder === undefined)
    throw new OperatorError(`Neither ${folders.join(' nor ')} can be made: claims on user ids and networks lie there`);
  const { uid, mode } = lstatSync(folder);
  if (uid !== process.getuid?.() || (mode & 0o077) !== 0)
    throw new OperatorError(`${folder} must be a folder of the agent’s user alone (mode 0700): claims on user ids and networks lie there`);
  const path = join(folder, name);
  const holder = spawn(launcher, ['--hold', path], { cwd: '/', env: {}, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  holder.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  holder.stdin.on('error', () => undefined); // its exit is the news
  const isHeld = await new Promise<boolean>((resolve, reject) => {
    holder.once('error', reject);
    holder.stdout.once('data', () => resolve(true));
    holder.once('close', (code) => (code === 2 ? resolve(false) : reject(new OperatorError(`${path} cannot be locked: ${said.trim()}`))));
  });
  if (!isHeld) return undefined;
  // It must not keep a process alive that has nothing else to do.
  holder.unref();
  for (const stream of [holder.stdin, holder.stdout, holder.stderr]) (stream as unknown as { unref?(): void }).unref?.(); // sockets, which the type hides
  return () => void holder.stdin.end();
}

function isWritable(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    accessSync(folder, constants.W_OK);
    return lstatSync(folder).isDirectory();
  } catch {
    return false;
  }
}
