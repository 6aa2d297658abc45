import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, mkdir, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { OperatorError } from '@evenfall/errors';

/** A key and the file it is kept in. */
export type KeptKey = {
  /** The text in the file: an access key as `id:secret`. */
  readonly key: string;
  readonly path: string;
  /** Whether it was made just now. */
  readonly isNew: boolean;
};

/** Id of the key that a platform creates for itself; receipts name it. */
const OWN_ID = 'local';
const SECRET_BYTES = 32;
/** Bits of a mode that give users other than the owner access. */
const OTHERS = 0o077;
/** A file of one line that only its owner may read. */
type SecretFile = {
  readonly name: string;
  /** What it holds, for its refusals. */
  readonly what: string;
  readonly form: string;
  readonly line: RegExp;
  make(): string;
};

const ACCESS_KEY: SecretFile = {
  name: 'access-key',
  what: 'access key',
  form: 'one line "id:secret"; take it away to have a new key made',
  line: /^([\w.-]{1,64}:[^\s:,]{8,256})\n?$/,
  make: () => `${OWN_ID}:${randomBytes(SECRET_BYTES).toString('base64url')}`,
};
/** Taken away, what it has sealed cannot be opened any more. */
const SEALING_KEY: SecretFile = {
  name: 'sealing-key',
  what: 'sealing key',
  form: 'one line of 64 hex digits',
  line: /^([0-9a-f]{64})\n?$/,
  make: () => randomBytes(SECRET_BYTES).toString('hex'),
};
const MAX_FILE_BYTES = 400;

/** Where the key of a data folder is kept. */
export function keyFileOf(dataDir: string): string {
  return join(dataDir, ACCESS_KEY.name);
}

/** Reads the key of a data folder; undefined if it has none. Throws an `OperatorError` for a file that others can open, or that holds no key. */
export function readKeyFile(dataDir: string): Promise<string | undefined> {
  return readSecret(dataDir, ACCESS_KEY);
}

async function readSecret(dataDir: string, secret: SecretFile): Promise<string | undefined> {
  const path = join(dataDir, secret.name);
  const unusable = (why: string, cause?: unknown): OperatorError =>
    new OperatorError(`The ${secret.what} in ${path} cannot be used: ${why}.`, { cause });
  let file: FileHandle;
  try {
    // A link could lead to a file of another user, and opening a pipe would wait.
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (code === 'ELOOP') throw unusable('it is a symbolic link');
    throw unusable(code === 'EACCES' ? "it is another user's" : String(error), error);
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw unusable('it is not a file');
    if (stat.uid !== process.geteuid?.()) throw unusable(`it belongs to user ${stat.uid}`);
    if ((stat.mode & OTHERS) !== 0)
      throw unusable(
        `its mode ${(stat.mode & 0o777).toString(8)} lets others open it; "chmod 600", and a new key if others have been here`,
      );
    const key = stat.size <= MAX_FILE_BYTES ? secret.line.exec(await file.readFile('utf8'))?.[1] : undefined;
    if (key === undefined) throw unusable(`it is not ${secret.form}`);
    return key;
  } finally {
    await file.close();
  }
}

/**
 * Reads the key of a data folder, and makes the folder and the key if there are none. Of several programs that start at once one makes it, and all
 * read the same.
 */
export function ensureKeyFile(dataDir: string): Promise<KeptKey> {
  return ensureSecret(dataDir, ACCESS_KEY);
}

/** The same for the key that seals secrets in the database, as 64 hex digits. */
export function ensureSealingKeyFile(dataDir: string): Promise<KeptKey> {
  return ensureSecret(dataDir, SEALING_KEY);
}

async function ensureSecret(dataDir: string, secret: SecretFile): Promise<KeptKey> {
  const path = join(dataDir, secret.name);
  const kept = await readSecret(dataDir, secret);
  if (kept !== undefined) return { key: kept, path, isNew: false };
  await mkdir(dataDir, { recursive: true }).catch((error: unknown) => {
    throw notWritten(path, error);
  });
  const isNew = await writeOnce(path, `${secret.make()}\n`);
  // Read back in any case: it may be the key of a program that was faster.
  const key = await readSecret(dataDir, secret);
  if (key === undefined) throw new OperatorError(`The ${secret.what} in ${path} was taken away as soon as it was made.`);
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
    `A key cannot be written to ${path} (${why}). Set EVENFALL_DATA_DIR to a folder that can be written, or EVENFALL_ACCESS_KEYS and EVENFALL_SEALING_KEY.`,
    { cause },
  );
}
