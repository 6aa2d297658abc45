import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

/** Keeps secrets that have to be readable again: AES-256-GCM with a key that is not in the database. */
export type Sealing = {
  /** Seals a secret, bound to the id of whose it is. */
  seal(secret: string, ownerId: string): Buffer;
  /** Opens what was sealed; undefined if none of the keys fits, or if it is not the owner's. */
  open(sealed: Buffer, ownerId: string): string | undefined;
  /** Whether it was sealed with the newest key. */
  isNewest(sealed: Buffer): boolean;
};

const FORM = 1;
const NAME_BYTES = 8;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = 1 + NAME_BYTES + IV_BYTES + TAG_BYTES;

/** Makes it of keys as 64 hex digits: the first seals, all open. Undefined without keys. */
export function createSealing(keys: readonly string[]): Sealing | undefined {
  const all = keys.map((hex) => {
    const key = Buffer.from(hex, 'hex');
    return { key, name: createHash('sha256').update('evenfall sealing key ').update(key).digest().subarray(0, NAME_BYTES) };
  });
  const newest = all[0];
  if (!newest) return undefined;
  return {
    seal(secret, ownerId) {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv('aes-256-gcm', newest.key, iv, { authTagLength: TAG_BYTES });
      cipher.setAAD(Buffer.from(ownerId));
      const data = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
      return Buffer.concat([Buffer.of(FORM), newest.name, iv, cipher.getAuthTag(), data]);
    },
    open(sealed, ownerId) {
      const known = all.find(({ name }) => name.equals(nameOf(sealed)));
      if (!known || sealed.length < HEAD_BYTES || sealed[0] !== FORM) return undefined;
      const iv = sealed.subarray(1 + NAME_BYTES, 1 + NAME_BYTES + IV_BYTES);
      const decipher = createDecipheriv('aes-256-gcm', known.key, iv, { authTagLength: TAG_BYTES });
      decipher.setAAD(Buffer.from(ownerId));
      decipher.setAuthTag(sealed.subarray(HEAD_BYTES - TAG_BYTES, HEAD_BYTES));
      try {
        return Buffer.concat([decipher.update(sealed.subarray(HEAD_BYTES)), decipher.final()]).toString('utf8');
      } catch {
        return undefined; // it was changed, or belongs to another owner
      }
    },
    isNewest: (sealed) => newest.name.equals(nameOf(sealed)),
  };
}

function nameOf(sealed: Buffer): Buffer {
  return sealed.subarray(1, 1 + NAME_BYTES);
}
