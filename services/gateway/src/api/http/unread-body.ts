import type { IncomingMessage, ServerResponse } from 'node:http';

/** Callers that send their body only after the server answers 100 (`Expect: 100-continue`). */
const waiting = new WeakSet<IncomingMessage>();
/** How long a caller that was refused may read the answer before the connection is closed on the rest of its body. */
const READ_ANSWER_MS = 250;

/** Notes that a caller waits for 100 before it sends its body. */
export function expectContinue(request: IncomingMessage): void {
  waiting.add(request);
}

/** Answers 100 to a caller that waits for it. To be called once it is known that the body is wanted. */
export function sendContinue(request: IncomingMessage, response: ServerResponse): void {
  if (waiting.delete(request)) response.writeContinue();
}

/**
 * Reads no more of a request that is refused: what has arrived is left unread, and the connection is closed once the answer is sent and there was time to
 * read it.
 */
export function stopReading(request: IncomingMessage, response: ServerResponse): void {
  if (request.complete || !hasBody(request)) return;
  request.read(0); // otherwise node reads the rest and drops it, however much it is
  response.once('finish', () => {
    setTimeout(() => {
      if (!request.complete) request.socket.destroy();
    }, READ_ANSWER_MS).unref();
  });
}

export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
