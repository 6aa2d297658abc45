import { readdirSync, rmSync, statSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

const DIGEST = /^[0-9a-f]{64}$/;
const BLOCK_BYTES = 512;

/** The unpacked packages of a folder, least recently used first. */
export type CodeCache = {
  /** Whether it is there as this agent stored it: a complete folder, its own, that no other user can write. */
  has(codeSha256: string): boolean;
  /** One was used, or has come. */
  touch(codeSha256: string): void;
  /** Removes what has not been used for longest until the rest fits; what is used stays. Answers how many went. */
  shrink(inUse: ReadonlySet<string>): Promise<number>;
};

/**
 * Opens what an earlier session left. The digest of a package was checked before it came under its name, by a rename; from then on the
 * folder's owner and mode prove that no other user has changed it.
 */
export function openCodeCache(root: string, maxBytes: number): CodeCache {
  const sizes = new Map<string, number>();
  const me = process.getuid?.();
  const isOurs = (path: string): boolean => {
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat !== undefined && stat.isDirectory() && stat.uid === me && (stat.mode & 0o022) === 0;
  };
  // Something else under such a name is no package, and in the way of one: it goes. So does what a broken-off removal left.
  for (const name of namesIn(root)) {
    const path = join(root, name);
    if (DIGEST.test(name) && isOurs(path)) sizes.set(name, bytesOf(path));
    else rmSync(path, { recursive: true, force: true });
  }
  return {
    has: (codeSha256) => sizes.has(codeSha256) && isOurs(join(root, codeSha256)),
    touch(codeSha256) {
      const bytes = sizes.get(codeSha256) ?? bytesOf(join(root, codeSha256));
      sizes.delete(codeSha256); // to the end of the order
      sizes.set(codeSha256, bytes);
    },
    async shrink(inUse) {
      let total = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
      let count = 0;
      for (const [codeSha256, bytes] of [...sizes]) {
        if (total <= maxBytes) break;
        if (inUse.has(codeSha256)) continue;
        sizes.delete(codeSha256);
        total -= bytes;
        count += 1;
        // Out of its name first: a folder under its digest is complete at every moment.
        const gone = join(root, `gone-${codeSha256}`);
        await rename(join(root, codeSha256), gone);
        await rm(gone, { recursive: true, force: true });
      }
      return count;
    },
  };
}

function namesIn(root: string): string[] {
  return statSync(root, { throwIfNoEntry: false }) ? readdirSync(root) : [];
}

/** Bytes it uses on the disk. */
function bytesOf(path: string): number {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return 0;
  const own = stat.blocks * BLOCK_BYTES;
  return stat.isDirectory() ? readdirSync(path).reduce((sum, name) => sum + bytesOf(join(path, name)), own) : own;
}
