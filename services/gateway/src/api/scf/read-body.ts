import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { ByteBudget } from '@evenfall/api-limits';
import { ownBuffer } from '../http/body-parsers.ts';
import { scfError } from './codes.ts';

/** A body that was received. */
export type ReadBody = {
  /** Its parts; none if it was not kept. */
  readonly parts: readonly Buffer[];
  readonly bytes: number;
  /** SHA-256 in hex. */
  readonly sha256: string;
  /** Gives its bytes back to the budget. */
  release(): void;
};

export type BodyRules = {
  readonly maxBytes: number;
  /** Whether it is kept; otherwise it is read and dropped, so that its sender cannot see the difference. */
  readonly keeps: boolean;
  /** Bytes that all bodies have together for as long as they are held. */
  readonly budget: ByteBudget;
};

/** Reads a body, and digests it while it arrives. The rest of one that is too large is dropped, so that its sender receives the answer. */
export async function readBody(payload: Readable, { maxBytes, keeps, budget }: BodyRules): Promise<ReadBody> {
  const hash = createHash('sha256');
  const parts: Buffer[] = [];
  let bytes = 0;
  let held = 0;
  const release = (): void => {
    budget.release(held);
    held = 0;
  };
  try {
    for await (const chunk of payload.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      bytes += chunk.length; // no encoding is set
      if (bytes > maxBytes) throw scfError('RequestSizeLimitExceeded', `It is ${maxBytes} bytes.`);
      hash.update(chunk);
      if (!keeps) continue;
      if (!budget.reserve(chunk.length)) throw scfError('RequestLimitExceeded', 'Too many large requests are under way; try again.');
      held += chunk.length;
      parts.push(ownBuffer(chunk));
    }
  } catch (error) {
    release();
    payload.resume();
    throw error;
  }
  return { parts, bytes, sha256: hash.digest('hex'), release };
}
