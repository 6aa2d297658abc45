import { createHash, randomFillSync } from 'node:crypto';

const pool = Buffer.allocUnsafe(16 * 256);
let poolOffset = pool.length;
/** How far ahead of the clock ids may be. */
const MOST_AHEAD_MS = 1_000;
let lastMs = 0;
let sequence = 0;

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/**
 * Makes a UUIDv7 (RFC 9562 §5.7): 48 bits of time, then a 12-bit counter that keeps the ids of one millisecond in order
 * (§6.2, method 1), then 62 random bits. Random bytes come from a pool: one system call for 256 ids.
 */
export function newUuidV7(nowMs: number = Date.now()): string {
  // After a small step back ids go on in order. After a larger one the clock is followed: ids that claim to be of a time to come say nothing any more.
  if (nowMs > lastMs || nowMs < lastMs - MOST_AHEAD_MS) {
    lastMs = nowMs;
    sequence = 0;
  } else if (++sequence > 0xfff) {
    lastMs += 1;
    sequence = 0;
  }
  if (poolOffset === pool.length) {
    randomFillSync(pool);
    poolOffset = 0;
  }
  const at = poolOffset;
  poolOffset += 16;
  pool.writeUIntBE(lastMs, at, 6);
  pool[at + 6] = 0x70 | (sequence >> 8);
  pool[at + 7] = sequence & 0xff;
  pool[at + 8] = 0x80 | ((pool[at + 8] ?? 0) & 0x3f);
  return format(pool, at);
}

/** Makes a UUIDv8 (RFC 9562 §5.8) from parts: the same parts always give the same id. Parts are joined unambiguously. */
export function uuidOfName(...parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  const bytes = hash.digest();
  bytes[6] = 0x80 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  return format(bytes, 0);
}

/** Milliseconds a UUIDv7 was made at; undefined for any other id. */
export function timeOfUuidV7(id: string): number | undefined {
  return id[14] === '7' ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : undefined;
}

/** Whether the text is a UUID in lower-case canonical form. */
export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(text);
}

function format(bytes: Buffer, at: number): string {
  let text = '';
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += '-';
    text += HEX[bytes[at + i] ?? 0] ?? '';
  }
  return text;
}
