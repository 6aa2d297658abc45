import { createWriteStream, readFileSync } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { openPromise, type Entry } from 'yauzl';

export const MAX_UNPACKED_BYTES = 500 * 1024 * 1024;
export const MAX_ENTRIES = 20_000;

const FILE_TYPE_MASK = 0o170000;
const REGULAR = 0o100000;
const DIRECTORY = 0o040000;

/** Explains why an entry is refused; undefined for one that is accepted. */
export function faultOfEntry(name: string, mode: number): string | undefined {
  if (name === '' || name.startsWith('/') || name.includes('\\') || name.includes('\0') || /^[a-zA-Z]:/.test(name))
    return `"${name}" is not a relative path`;
  if (name.split('/').includes('..')) return `"${name}" leaves the package`;
  const type = mode & FILE_TYPE_MASK;
  if (type !== 0 && type !== REGULAR && type !== DIRECTORY) return `"${name}" is neither a file nor a folder`;
  return undefined;
}

/** Unpacks a zip file into a folder that exists. Throws at the first entry that is refused. Executable bits are kept. */
export async function unpack(zipFile: string, folder: string): Promise<void> {
  // yauzl checks names itself too (no "..", no absolute paths) and that the sizes are what was announced.
  const zip = await openPromise(zipFile, { lazyEntries: true, autoClose: false, strictFileNames: true, validateEntrySizes: true });
  try {
    if (zip.entryCount > MAX_ENTRIES) throw new Error(`The package has ${zip.entryCount} entries, at most ${MAX_ENTRIES} are accepted`);
    let bytes = 0;
    const hides = (umask() & 0o055) !== 0;
    for await (const entry of zip.eachEntry()) {
      const mode = modeOf(entry);
      const fault = faultOfEntry(entry.fileName, mode);
      if (fault) throw new Error(`The package cannot be unpacked: ${fault}`);
      bytes += entry.uncompressedSize;
      if (bytes > MAX_UNPACKED_BYTES) throw new Error(`The package is larger than ${MAX_UNPACKED_BYTES} bytes unpacked`);
      const path = join(folder, entry.fileName);
      if (entry.fileName.endsWith('/')) {
        await makeFolder(path, folder, hides);
        continue;
      }
      await makeFolder(dirname(path), folder, hides);
      const permissions = (mode & 0o111) !== 0 ? 0o755 : 0o644;
      await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(path, { mode: permissions, flags: 'wx' }));
      if (hides) await chmod(path, permissions);
    }
  } finally {
    zip.close();
  }
}

/** Of this process; asking Node for it would set it for a moment. */
function umask(): number {
  return Number.parseInt(/^Umask:\s+(\d+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '77', 8);
}

/** Makes a folder and those above it, which others can enter whatever the umask is: functions have users of their own. */
async function makeFolder(path: string, root: string, hides: boolean): Promise<void> {
  await mkdir(path, { recursive: true });
  for (let at = path; hides && at.length > root.length; at = dirname(at)) await chmod(at, 0o755);
}

/** Unix modes are in the upper half of the external attributes, where the archive was made on one (APPNOTE.TXT 4.4.15). */
function modeOf(entry: Entry): number {
  return (entry.externalFileAttributes >>> 16) & 0xffff;
}
