import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRefusal } from '@evenfall/errors';
import type { FastifyRequest } from 'fastify';
import type { Strangers } from '../unauthenticated-callers.ts';

/** Makes what a request with a wrong key waits for; one without a key guesses none, unless it has it somewhere else than in its head (`isGuess`). Who asks again on the same connection before the answer came is hung up on. */
export function holdGuesses(strangers: Strangers): (request: FastifyRequest, error: unknown, isGuess?: boolean) => Promise<void> {
  const holding = new WeakSet<Socket>();
  return async ({ raw }, error, isGuess = raw.headers.authorization !== undefined) => {
    if (isRefusal(error) && error.status !== 'UNAUTHENTICATED') return; // the key is right, or may be
    const { socket } = raw;
    if (!isGuess) return;
    if (holding.has(socket)) socket.destroy();
    const delayMs = strangers.failed(socket.remoteAddress, 'http');
    if (delayMs === 0 || socket.destroyed) return;
    holding.add(socket);
    await sleep(delayMs, undefined, { ref: false });
    holding.delete(socket);
  };
}
