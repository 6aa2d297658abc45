import { randomBytes } from 'node:crypto';
import type { Sealing } from './sealing.ts';

/** A key as it is kept. */
export type GrantKeyRow = { readonly id: string; readonly createTime: Date; readonly secret: Buffer; readonly isSealed: boolean };

const KEY_BYTES = 32;
const DAY_MS = 24 * 3_600_000;
/** A key signs for so long; a scheduler asks more often. */
export const SIGNS_MS = 7 * DAY_MS;
/** So long it is kept: an agent may keep the outcome of an attempt for as long as it is cut off. */
export const KEPT_MS = 60 * DAY_MS;

export function newGrantKey(id: string, nowMs: number, sealing: Sealing | undefined): GrantKeyRow {
  const key = randomBytes(KEY_BYTES);
  return {
    id,
    createTime: new Date(nowMs),
    secret: sealing ? sealing.seal(key.toString('base64'), ownerOf(id)) : key,
    isSealed: sealing !== undefined,
  };
}

/** The key itself; undefined if it was sealed with a key that is not there. */
export function openGrantKey({ id, secret, isSealed }: GrantKeyRow, sealing: Sealing | undefined): Buffer | undefined {
  if (!isSealed) return secret;
  const opened = sealing?.open(secret, ownerOf(id));
  return opened === undefined ? undefined : Buffer.from(opened, 'base64');
}

/** What a sealed key is bound to. */
export function ownerOf(id: string): string {
  return `grant key ${id}`;
}
