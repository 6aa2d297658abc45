import { once } from 'node:events';
import { crc32 } from 'node:zlib';
import { isRefusal, orThrow, refuse } from '@evenfall/errors';
import { type Entry, fromBufferPromise, type ZipFile } from 'yauzl';
import type { PackageLimits } from '@evenfall/function-model';
import { badPackage, entryChecker, type PackageFiles } from '../domain/code-package.ts';

/**
 * Reads a zip file through without unpacking it: every entry is inflated and counted, because what its directory says of sizes is only
 * what its author says. Returns its files. Refusals: INVALID_CODE_PACKAGE, CODE_PACKAGE_TOO_LARGE.
 */
export async function inspectPackage(zip: Buffer, limits: PackageLimits): Promise<PackageFiles> {
  if (zip.length > limits.maxZipBytes) throw tooLarge(`${zip.length} bytes zipped; at most ${limits.maxZipBytes} are taken`);
  try {
    return await readThrough(zip, limits);
  } catch (error) {
    if (isRefusal(error)) throw error;
    throw badPackage(`it is not a sound zip file: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function readThrough(zip: Buffer, limits: PackageLimits): Promise<PackageFiles> {
  const file = await fromBufferPromise(zip, { lazyEntries: true, strictFileNames: true, validateEntrySizes: true });
  const checker = entryChecker(limits);
  let left = limits.maxUnpackedBytes;
  for await (const entry of file.eachEntry()) {
    const added = checker.add({
      name: entry.fileName,
      mode: entry.externalFileAttributes >>> 16,
      encrypted: entry.isEncrypted(),
      method: entry.compressionMethod,
    });
    const { isFolder } = orThrow(added);
    if (!isFolder) left -= await inflatedBytes(file, entry, left, limits);
    else if (entry.uncompressedSize > 0) throw badPackage(`the folder "${entry.fileName}" has contents of its own`);
  }
  if (checker.found.files.size === 0) throw badPackage('it holds no files');
  return checker.found;
}

async function inflatedBytes(file: ZipFile, entry: Entry, left: number, limits: PackageLimits): Promise<number> {
  if (entry.uncompressedSize > left) throw tooLarge(`more than ${limits.maxUnpackedBytes} bytes unpacked`);
  const stream = await file.openReadStreamPromise(entry);
  let bytes = 0;
  let sum = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > left) throw tooLarge(`more than ${limits.maxUnpackedBytes} bytes unpacked`);
      sum = crc32(chunk, sum);
    }
  } finally {
    if (!stream.destroyed) {
      stream.destroy();
      await once(stream, 'close').catch(() => undefined); // it is being thrown away
    }
  }
  if (sum !== entry.crc32) throw badPackage(`the entry "${entry.fileName}" does not match its checksum`);
  return bytes;
}

function tooLarge(detail: string): Error {
  return refuse('CODE_PACKAGE_TOO_LARGE', { detail });
}
