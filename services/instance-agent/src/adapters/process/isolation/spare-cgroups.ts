import { rmdirSync } from 'node:fs';
import { mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { tried } from './cgroup-controllers.ts';

/** Made ahead at most. */
const SPARE = 4;

/** Empty cgroups that are made and removed beside the event loop. */
export type SpareCgroups = {
  /** The name of one that is in every hierarchy; undefined where none is ready. */
  claim(): string | undefined;
  /** Removes one, whatever name it has. */
  remove(name: string): void;
  /** Removes those that are left; at once, as nothing runs after it. */
  close(): void;
};

/**
 * The kernel makes and removes cgroups one after the other on the whole host, and waits for all that is under way: 0.1 ms on a quiet host, 219 ms were
 * seen where functions started and ended ten processes a second. That time is spent on a thread, before an instance waits for a cgroup.
 */
export function spareCgroups(roots: readonly string[]): SpareCgroups {
  const ready: string[] = [];
  const leaving = new Set<string>();
  let count = 0;
  let isMaking = false;
  let isClosed = false;
  const makeAll = async (): Promise<void> => {
    if (isMaking) return;
    isMaking = true;
    try {
      while (!isClosed && ready.length < SPARE) {
        const name = `group-${++count}`;
        leaving.add(name); // until it is complete: no part of it is left behind
        for (const root of roots) await mkdir(join(root, name));
        leaving.delete(name);
        ready.push(name);
      }
      if (isClosed) close();
    } catch {
      // A requested one is then made in place, and its error reports what is wrong.
      remove(`group-${count}`);
    } finally {
      isMaking = false;
    }
  };
  const close = (): void => {
    isClosed = true;
    for (const name of [...ready.splice(0), ...leaving]) for (const root of roots) tried(() => rmdirSync(join(root, name)));
  };
  const remove = (name: string): void => {
    leaving.add(name);
    void Promise.allSettled(roots.map((root) => rmdir(join(root, name)))).then(() => leaving.delete(name));
    if (isClosed) close();
  };
  void makeAll();
  return {
    claim() {
      const name = ready.shift();
      void makeAll();
      return name;
    },
    remove,
    close,
  };
}
