import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

const BYTES = 16;

/** What the address of a runtime API ends with, so that another process that finds its port cannot use it. */
export type ApiSecret = {
  /** Follows the port, in variables: clients put the path of a call behind it. Empty where none is needed. */
  readonly suffix: string;
  /** The path of a call without the secret; undefined if it has another one, or none. */
  pathOf(url: string): string | undefined;
};

export function apiSecret(isNeeded: boolean): ApiSecret {
  if (!isNeeded) return { suffix: '', pathOf: (url) => url };
  const suffix = `/${randomBytes(BYTES).toString('hex')}`;
  const known = digestOf(suffix);
  return {
    suffix,
    pathOf(url) {
      const isIt = timingSafeEqual(digestOf(url.slice(0, suffix.length)), known);
      return isIt && url[suffix.length] === '/' ? url.slice(suffix.length) : undefined;
    },
  };
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
