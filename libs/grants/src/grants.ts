import { createHash, hash, timingSafeEqual } from 'node:crypto';
import type { AttemptKey } from '@evenfall/contracts/attempt/v1/attempt';
import type { FunctionMessage } from '@evenfall/contracts/v1/function';

/** What is given: an attempt or an instance, with all that an agent may not change of it. */
export type Granted = string & { readonly granted: true };

/** No part of any may hold a NUL: they are checked where they come in. */
export function grantedAttempt({ eventId, attempt, partition }: Pick<AttemptKey, 'eventId' | 'attempt' | 'partition'>): Granted {
  return `attempt\0${eventId}\0${attempt}\0${partition ?? 'call'}` as Granted; // made here alone
}

export function grantedInstance(
  instanceId: string,
  fn: Pick<FunctionMessage, 'namespace' | 'name' | 'version' | 'revision' | 'memoryMb'>,
): Granted {
  const { namespace, name, version, revision, memoryMb } = fn;
  return ['instance', instanceId, namespace, name, version, revision, memoryMb].join('\0') as Granted; // made here alone
}

/** The package of an instance: its code, and what it writes while no event runs on it. */
export function grantedPackage(instanceId: string, codeSha256: string): Granted {
  return ['package', instanceId, codeSha256].join('\0') as Granted; // made here alone
}

/** Grants: proofs of what was assigned to which agent. An agent shows them to a scheduler that does not know of the assignment. */
export type Grants = {
  /** Whether there are keys: without them no grant can be issued or checked. */
  isReady(): boolean;
  /** Takes the keys in, 32 bytes each: the first signs, all are good. */
  use(keys: readonly Buffer[]): void;
  /** Makes the grant of an attempt for an agent. Each call is newer than the one before. Throws without keys. */
  sign(granted: Granted, agentId: string, nowMs: number): Grant;
  /** When a grant was made, by the clock of its scheduler; undefined if it is none, or of another attempt or agent. */
  check(granted: Granted, agentId: string, grant: Buffer | undefined): number | undefined;
  /** Whether the key that a grant names is here, whatever else is wrong with it. */
  knowsKeyOf(grant: Buffer): boolean;
};
export type Grant = { readonly bytes: Buffer; readonly issuedMs: number };

const NAME_BYTES = 4;
const TIME_BYTES = 6;
const MAC_BYTES = 16;
export const GRANT_BYTES = NAME_BYTES + TIME_BYTES + MAC_BYTES;

type Key = { readonly name: number; readonly mac: (text: string) => Buffer };

/**
 * A grant is the name of its key, the time and the first half of an HMAC-SHA-256 over what is given, agent and time: a microsecond to
 * make, nothing to remember. The newest of two for one attempt is right: what was given back may have been given to another.
 */
export function createGrants(): Grants {
  let keys: readonly Key[] = [];
  let lastMs = 0;
  return {
    isReady: () => keys.length > 0,
    use(given) {
      keys = given.map((key) => ({
        name: createHash('sha256').update('evenfall grant key ').update(key).digest().readUInt32BE(0),
        mac: hmacSha256(createHash('sha256').update(key).digest('base64url')),
      }));
    },
    sign(granted, agentId, nowMs) {
      const [newest] = keys;
      if (!newest) throw new Error('no key to sign with: agents are not let in before there is one');
      const issuedMs = (lastMs = Math.max(nowMs, lastMs + 1));
      const bytes = Buffer.allocUnsafe(GRANT_BYTES);
      bytes.writeUInt32BE(newest.name, 0);
      bytes.writeUIntBE(issuedMs, NAME_BYTES, TIME_BYTES);
      macOf(newest, granted, agentId, issuedMs).copy(bytes, NAME_BYTES + TIME_BYTES, 0, MAC_BYTES);
      return { bytes, issuedMs };
    },
    check(granted, agentId, grant) {
      if (grant?.length !== GRANT_BYTES) return undefined;
      const name = grant.readUInt32BE(0);
      const issuedMs = grant.readUIntBE(NAME_BYTES, TIME_BYTES);
      for (const key of keys) {
        if (key.name !== name) continue;
        const mac = macOf(key, granted, agentId, issuedMs).subarray(0, MAC_BYTES);
        if (timingSafeEqual(mac, grant.subarray(NAME_BYTES + TIME_BYTES))) return issuedMs;
      }
      return undefined;
    },
    knowsKeyOf: (grant) => grant.length === GRANT_BYTES && keys.some(({ name }) => name === grant.readUInt32BE(0)),
  };
}

function macOf({ mac }: Key, granted: Granted, agentId: string, issuedMs: number): Buffer {
  return mac(`evenfall grant\0${granted}\0${agentId}\0${issuedMs}`);
}

const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;

/**
 * HMAC-SHA-256 (RFC 2104) by two calls of `crypto.hash`: 1.0 microseconds where `createHmac` takes 2.4, and 6 between other work, because it
 * makes a stream. @param key at most 64 characters of ASCII, which stay ASCII in both pads: so the inner text is hashed as a string.
 */
export function hmacSha256(key: string): (text: string) => Buffer {
  if (!/^[\0-\x7f]{0,64}$/.test(key)) throw new Error('a key is at most 64 characters of ASCII');
  const padded = Buffer.alloc(BLOCK_BYTES);
  padded.write(key, 'latin1');
  const inner = Buffer.from(padded.map((byte) => byte ^ 0x36)).toString('latin1');
  const outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES);
  outer.set(padded.map((byte) => byte ^ 0x5c));
  return (text) => {
    outer.write(hash('sha256', inner + text, 'binary'), BLOCK_BYTES, 'latin1');
    return Buffer.from(hash('sha256', outer, 'binary'), 'latin1');
  };
}
