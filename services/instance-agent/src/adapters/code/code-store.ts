import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { GetCodePackageRequest, RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import type { ClientOf } from '@evenfall/rpc';
import type { CodeStore } from '../../ports.ts';
import { openCodeCache } from './cache.ts';
import { unpack } from './unpack.ts';

export type CodeStoreOptions = {
  /** Of this agent: the grants that it shows name it. */
  readonly agentId: string;
  /** Folder of the packages. */
  readonly root: string;
  /** On the same file system, and emptied when the agent starts. */
  readonly temporaryRoot: string;
  readonly maxBytes: number;
  /** Digests of packages that instances have. */
  inUse(): ReadonlySet<string>;
};

/** Keeps requested packages, unpacked, under their digests, as long as there is room. Two requests at the same time wait for one pull. */
export function codeStore(registry: ClientOf<typeof RegistryServiceService>, terms: CodeStoreOptions): CodeStore {
  const { root, temporaryRoot } = terms;
  const pulls = new Map<string, Promise<void>>();
  const cache = openCodeCache(root, terms.maxBytes);
  return {
    async folderOf(codeSha256, of) {
      if (!/^[0-9a-f]{64}$/.test(codeSha256)) throw new Error('The function has no code package');
      const folder = join(root, codeSha256);
      if (cache.has(codeSha256)) {
        cache.touch(codeSha256);
        return { folder, pulledMs: 0 };
      }
      const startMs = performance.now();
      let pull = pulls.get(codeSha256);
      if (!pull) {
        const asked = { ...of, codeSha256, agentId: terms.agentId };
        pull = pullPackage(registry, root, temporaryRoot, asked).finally(() => pulls.delete(codeSha256));
        pulls.set(codeSha256, pull);
      }
      await pull;
      cache.touch(codeSha256);
      await cache.shrink(new Set([...terms.inUse(), ...pulls.keys(), codeSha256]));
      return { folder, pulledMs: performance.now() - startMs };
    },
  };
}

async function pullPackage(
  registry: ClientOf<typeof RegistryServiceService>,
  root: string,
  temporaryRoot: string,
  asked: GetCodePackageRequest,
): Promise<void> {
  const { codeSha256 } = asked;
  await mkdir(root, { recursive: true });
  const work = await mkdtemp(join(temporaryRoot, 'pull-'));
  try {
    const zipFile = join(work, 'code.zip');
    const hash = createHash('sha256');
    const pieces = async function* () {
      for await (const { data } of registry.getCodePackage(asked)) {
        hash.update(data);
        yield data;
      }
    };
    await pipeline(Readable.from(pieces()), createWriteStream(zipFile));
    const digest = hash.digest('hex');
    if (digest !== codeSha256) throw new Error(`The code package came with digest ${digest} instead of ${codeSha256}`);
    const unpacked = join(work, 'code');
    await mkdir(unpacked);
    await unpack(zipFile, unpacked);
    await chmod(unpacked, 0o755); // whatever the umask: functions have users of their own
    // A rename is all or nothing: a folder under its digest is complete.
    await rm(join(root, codeSha256), { recursive: true, force: true }); // what is there is not ours, or the cache would have it
    await rename(unpacked, join(root, codeSha256));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
