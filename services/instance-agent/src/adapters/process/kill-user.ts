import { spawn } from 'node:child_process';

/** Kills every process of a user: as that user itself, so that one call takes all there are (kill(2), -1). Resolves when it is done, or cannot be. */
export function killUser(setpriv: string | undefined, uid: number): Promise<void> {
  const words = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--', '/bin/sh', '-c', 'kill -9 -1'];
  return new Promise((resolve) => {
    if (setpriv === undefined) return resolve();
    const killer = spawn(setpriv, words, { stdio: 'ignore', env: {} });
    killer.on('error', () => resolve());
    killer.on('exit', () => resolve());
  });
}
