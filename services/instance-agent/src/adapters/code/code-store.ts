import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import type { ClientOf } from '@evenfall/rpc';
import type { CodeStore } from '../../ports.ts';
import { unpack } from './unpack.ts';

/**
 * Keeps every package it was asked for, unpacked, under its digest. Two that ask at the same time wait for one pull. `temporaryRoot` is on
 * the same file system, and emptied when the agent starts.
 */
export function codeStore(registry: ClientOf<typeof RegistryServiceService>, root: string, temporaryRoot: string): CodeStore {
  const pulls = new Map<string, Promise<void>>();
  return {
    async folderOf(codeSha256) {
      if (!/^[0-9a-f]{64}$/.test(codeSha256)) throw new Error('The function has no code package');
      const folder = join(root, codeSha256);
      if (await exists(folder)) return { folder, pulledMs: 0 };
      const startMs = performance.now();
      let pull = pulls.get(codeSha256);
      if (!pull) {
        pull = pullPackage(registry, root, temporaryRoot, codeSha256).finally(() => pulls.delete(codeSha256));
        pulls.set(codeSha256, pull);
      }
      await pull;
      return { folder, pulledMs: performance.now() - startMs };
    },
  };
}

async function pullPackage(
  registry: ClientOf<typeof RegistryServiceService>,
  root: string,
  temporaryRoot: string,
  codeSha256: string,
): Promise<void> {
  await mkdir(root, { recursive: true });
  const work = await mkdtemp(join(temporaryRoot, 'pull-'));
  try {
    const zipFile = join(work, 'code.zip');
    const hash = createHash('sha256');
    const pieces = async function* () {
      for await (const { data } of registry.getCodePackage({ codeSha256 })) {
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
    // A rename is all or nothing: a folder under its digest is complete.
    await rename(unpacked, join(root, codeSha256));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
