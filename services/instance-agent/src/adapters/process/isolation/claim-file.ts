import { spawn } from 'node:child_process';
import { accessSync, constants, lstatSync, mkdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { OperatorError } from '@evenfall/errors';

/** For claims of the agents of one host; the second where the first is read-only, as in a container. */
const FOLDERS = ['/run/evenfall', '/dev/shm/evenfall'];

/** As a supervisor reads it (sysexits.h, EX_OSERR). */
const OS_ERROR = 71;

const HOLD_ATTEMPTS = 4;
const HOLD_PAUSE_MS = 100;

/** What is claimed: numbers of one kind, such as user ids. No two claims of a kind overlap. */
export type Claim = { readonly kind: string; readonly first: number; readonly count: number };

/**
 * Claims numbers of this host for as long as this process lives, or until they are released: a lock on bytes of a file of root's, which a small process
 * of the launcher's holds and the kernel drops with it. undefined if another process has any of them. Throws where there is no folder of the agent's user
 * alone: no other user, above all no function, may make claims. A holder that ends is replaced at once; if another agent was faster this process ends,
 * for what runs here is not its own any more.
 */
export function claimRange(launcher: string, claim: Claim, folders = FOLDERS): Promise<(() => Promise<void>) | undefined> {
  const { kind, first, count } = claim;
  const args = ['--hold', join(claimsFolder(folders), kind), String(first), String(count)];
  return claimAndRestore(launcher, args, `${kind} from ${first} on`);
}

/**
 * Claims a user id in all containers of this host, whose files the others do not see: by the only process of that user, which the kernel counts
 * everywhere. undefined if it has others.
 */
export async function claimUser(launcher: string, uid: number): Promise<(() => Promise<void>) | undefined> {
  for (let left = HOLD_ATTEMPTS; left > 0; left--) {
    const release = await claimAndRestore(launcher, ['--hold-user', String(uid)], `the user id ${uid}`);
    if (release || left === 1) return release;
    // Two that claim at the same moment count each other, and neither has it.
    await pause(Math.random() * HOLD_PAUSE_MS);
  }
  return undefined;
}

async function claimAndRestore(launcher: string, args: readonly string[], what: string): Promise<(() => Promise<void>) | undefined> {
  let release: (() => Promise<void>) | undefined;
  let isWanted = true;
  const restore = (): void => {
    if (!isWanted) return;
    const lost = (why: string): void => {
      writeSync(2, `The agent has lost its claim on ${what} and ends: ${why}\n`);
      process.exit(OS_ERROR);
    };
    hold(launcher, args, what, restore).then(
      (again) => (again ? (release = again) : lost('another agent of this host has it')),
      (error: unknown) => lost(error instanceof Error ? error.message : String(error)),
    );
  };
  release = await hold(launcher, args, what, restore);
  return (
    release &&
    (async () => {
      isWanted = false;
      await release?.();
    })
  );
}

/** A folder of the agent's user alone, for what agents of one host share. Throws where there is none. */
export function claimsFolder(folders: readonly string[] = FOLDERS): string {
  const folder = folders.find(isWritable);
  if (folder === undefined)
    throw new OperatorError(`Neither ${folders.join(' nor ')} can be made: claims on user ids and networks lie there`);
  const { uid, mode } = lstatSync(folder);
  if (uid !== process.getuid?.() || (mode & 0o077) !== 0)
    throw new OperatorError(`${folder} must be a folder of the agent’s user alone (mode 0700): claims on user ids and networks lie there`);
  return folder;
}

/** Starts one holder; undefined if another process has the claim. `onEnd` is called when it ends after it had it. */
async function hold(
  launcher: string,
  args: readonly string[],
  what: string,
  onEnd: () => void,
): Promise<(() => Promise<void>) | undefined> {
  const holder = spawn(launcher, args, { cwd: '/', env: {}, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  let errors = '';
  holder.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  holder.stdin.on('error', () => undefined); // its exit event follows
  const isHeld = await new Promise<boolean>((resolve, reject) => {
    holder.once('error', reject);
    holder.stdout.once('data', () => resolve(true));
    holder.once('close', (code) =>
      code === 2 ? resolve(false) : reject(new OperatorError(`There is no claim on ${what}: ${errors.trim()}`)),
    );
  });
  if (!isHeld) return undefined;
  holder.once('exit', onEnd);
  // It must not keep a process alive that has nothing else to do.
  holder.unref();
  for (const stream of [holder.stdin, holder.stdout, holder.stderr]) (stream as unknown as { unref?(): void }).unref?.(); // sockets, which the type hides
  return () => {
    holder.ref();
    const gone = new Promise<void>((resolve) => holder.once('exit', () => resolve()));
    holder.stdin.end();
    return holder.exitCode === null && holder.signalCode === null ? gone : Promise.resolve();
  };
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
