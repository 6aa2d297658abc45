import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRefusal } from '@evenfall/errors';
import type { FastifyRequest } from 'fastify';
import type { UnauthenticatedCallers } from '../unauthenticated-callers.ts';

/**
 * Makes the delay of answers to wrong keys. A request without a key in its head is no guess, unless the API says so (`isGuess`). A caller that sends a further
 * request on the same connection before the answer came is disconnected.
 */
export function delayWrongKeys(
  callers: UnauthenticatedCallers,
): (request: FastifyRequest, error: unknown, isGuess?: boolean) => Promise<void> {
  const delayed = new WeakSet<Socket>();
  return async ({ raw }, error, isGuess = raw.headers.authorization !== undefined) => {
    if (isRefusal(error) && error.status !== 'UNAUTHENTICATED') return; // the key is right, or cannot be checked now
    const { socket } = raw;
    if (!isGuess) return;
    if (delayed.has(socket)) socket.destroy();
    const delayMs = callers.reportWrongKey(socket.remoteAddress, 'http');
    if (delayMs === 0 || socket.destroyed) return;
    delayed.add(socket);
    await sleep(delayMs, undefined, { ref: false });
    delayed.delete(socket);
  };
}
