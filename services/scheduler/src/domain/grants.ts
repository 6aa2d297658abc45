import { createHash, createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import type { AttemptKey } from '@evenfall/contracts/attempt/v1/attempt';
import type { FunctionMessage } from '@evenfall/contracts/v1/function';

/** What is given: an attempt or an instance, with all that an agent may not change of it. */
export type Granted = string & { readonly granted: true };

/** No part of either may hold a NUL: they are checked where they come in. */
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

/** Proofs of what was given to whom: an agent shows them to a scheduler that did not give it the attempt, or does not remember. */
export type Grants = {
  /** Whether there are keys: without, nothing can be given, and nothing be believed. */
  isReady(): boolean;
  /** Takes the keys in, 32 bytes each: the first signs, all are good. */
  use(keys: readonly Buffer[]): void;
  /** Makes the grant of an attempt for an agent. Each call is newer than the one before. Throws without keys. */
  sign(granted: Granted, agentId: string, nowMs: number): Grant;
  /** When a grant was made, by the clock of its scheduler; undefined if it is none, or of another attempt or agent. */
  check(granted: Granted, agentId: string, grant: Buffer | undefined): number | undefined;
};
export type Grant = { readonly bytes: Buffer; readonly issuedMs: number };

const NAME_BYTES = 4;
const TIME_BYTES = 6;
const MAC_BYTES = 16;
export const GRANT_BYTES = NAME_BYTES + TIME_BYTES + MAC_BYTES;

type Key = { readonly name: number; readonly key: KeyObject };

/**
 * A grant is the name of its key, the time and the first half of an HMAC-SHA-256 over what is given, agent and time: 3 microseconds to
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
        key: createSecretKey(key),
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
  };
}

function macOf({ key }: Key, granted: Granted, agentId: string, issuedMs: number): Buffer {
  return createHmac('sha256', key).update(`evenfall grant\0${granted}\0${agentId}\0${issuedMs}`).digest();
}
