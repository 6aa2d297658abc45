import { createHash } from 'node:crypto';
import { createWorkerPool } from '@evenfall/worker-pool';
import { refuse } from '@evenfall/errors';
import type { PackageLimits } from '@evenfall/function-model';
import type { PackageFiles } from '../domain/code-package.ts';
import type { InspectedPackage } from '../ports.ts';
import { inspectPackage } from './zip.ts';

/** Packages up to this are read on the event loop, which a thread's start would take longer than. */
const SMALL_BYTES = 32 * 1024;
/** Packages that are read at the same time: each may take seconds of a core. */
const THREADS = 2;
const MAX_WAITING = 32;
const MEMORY_MB = 256;
const WITHIN_MS = 50_000;

type Inspected = PackageFiles & { readonly sha256: string; readonly bytes: Uint8Array };

export type PackageInspector = { inspect(zip: Buffer, limits: PackageLimits): Promise<InspectedPackage>; close(): Promise<void> };

/** Reads code packages through, large ones on threads of their own. The bytes come back: those that were given are not there any more. */
export function packageInspector(): PackageInspector {
  const pool = createWorkerPool(new URL('./inspect-worker.ts', import.meta.url), {
    size: THREADS,
    maxWaiting: MAX_WAITING,
    memoryMb: MEMORY_MB,
    withinMs: WITHIN_MS,
  });
  return {
    async inspect(zip, limits) {
      if (zip.length <= SMALL_BYTES)
        return { ...(await inspectPackage(zip, limits)), sha256: createHash('sha256').update(zip).digest('hex'), data: zip };
      if (zip.length > limits.maxZipBytes)
        throw refuse('CODE_PACKAGE_TOO_LARGE', { detail: `${zip.length} bytes zipped; at most ${limits.maxZipBytes} are taken` });
      const bytes = alone(zip);
      const { files, programs, sha256, bytes: back } = await pool.run<Inspected>('inspect', { bytes, limits }, [bytes.buffer]);
      return { files, programs, sha256, data: Buffer.from(back.buffer, back.byteOffset, back.length) };
    },
    close: pool.close,
  };
}

/** Bytes in a buffer of their own, which can be handed over. */
function alone(bytes: Buffer): Uint8Array<ArrayBuffer> {
  const { buffer } = bytes;
  return buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength ? new Uint8Array(buffer) : new Uint8Array(bytes);
}
