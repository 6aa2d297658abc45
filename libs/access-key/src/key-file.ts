import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, mkdir, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { OperatorError } from '@evenfall/errors';

/** A key and the file it is kept in. */
export type KeptKey = {
  /** As `id:secret`. */
  readonly key: string;
  readonly path: string;
  /** Whether it was made just now. */
  readonly isNew: boolean;
};

/** Id of the key that a platform makes for itself; it stands on receipts. */
const OWN_ID = 'local';
const SECRET_BYTES = 32;
/** Bits of a mode that let anybody but the owner do something. */
const OTHERS = 0o077;
const LINE = /^([\w.-]{1,64}:[^\s:,]{8,256})\n?$/;
const MAX_FILE_BYTES = 400;

/** Where the key of a data folder is kept. */
export function keyFileOf(dataDir: string): string {
  return join(dataDir, 'access-key');
}

/** Reads the key of a data folder; undefined if it has none. Throws an `OperatorError` for a file that others can open, or that holds no key. */
export async function readKeyFile(dataDir: string): Promise<string | undefined> {
  const path = keyFileOf(dataDir);
  let file: FileHandle;
  try {
    // A link could lead to a file of somebody else, and opening a pipe would wait.
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (code === 'ELOOP') throw unusable(path, 'it is a symbolic link');
    throw unusable(path, code === 'EACCES' ? "it is another user's" : String(error), error);
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw unusable(path, 'it is not a file');
    if (stat.uid !== process.geteuid?.()) throw unusable(path, `it belongs to user ${stat.uid}`);
    if ((stat.mode & OTHERS) !== 0)
      throw unusable(
        path,
        `its mode ${(stat.mode & 0o777).toString(8)} lets others open it; "chmod 600", and a new key if others have been here`,
      );
    const key = stat.size <= MAX_FILE_BYTES ? LINE.exec(await file.readFile('utf8'))?.[1] : undefined;
    if (key === undefined) throw unusable(path, 'it is not one line "id:secret"; take it away to have a new key made');
    return key;
  } finally {
    await file.close();
  }
}

/**
 * Reads the key of a data folder, and makes the folder and the key if there are none. Of several programs that start at once one makes it, and all
 * read the same.
 */
export async function ensureKeyFile(dataDir: string): Promise<KeptKey> {
  const path = keyFileOf(dataDir);
  const kept = await readKeyFile(dataDir);
  if (kept !== undefined) return { key: kept, path, isNew: false };
  await mkdir(dataDir, { recursive: true }).catch((error: unknown) => {
    throw notWritten(path, error);
  });
  const made = `${OWN_ID}:${randomBytes(SECRET_BYTES).toString('base64url')}`;
  const isNew = await writeOnce(path, `${made}\n`);
  // Read back in any case: it may be the key of a program that was faster.
  const key = await readKeyFile(dataDir);
  if (key === undefined) throw unusable(path, 'it was taken away as soon as it was made');
  return { key, path, isNew };
}

/** Writes a file under a name that is free, whole or not at all. Answers whether the name was free. */
async function writeOnce(path: string, text: string): Promise<boolean> {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  const file = await open(draft, 'wx', 0o600).catch((error: unknown) => {
    throw notWritten(path, error);
  });
  try {
    await file.writeFile(text);
    await file.sync();
    await link(draft, path); // unlike a rename it never replaces what is there
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw notWritten(path, error);
  } finally {
    await file.close();
    await unlink(draft);
  }
}

function notWritten(path: string, cause: unknown): OperatorError {
  const why = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
  return new OperatorError(
    `The access key cannot be written to ${path} (${why}). Set EVENFALL_DATA_DIR to a folder that can be written, or EVENFALL_ACCESS_KEYS.`,
    { cause },
  );
}

function unusable(path: string, why: string, cause?: unknown): OperatorError {
  return new OperatorError(`The access key in ${path} cannot be used: ${why}.`, { cause });
}
