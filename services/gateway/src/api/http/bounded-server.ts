import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { connectionAnswer } from './errors.ts';
import { expectContinue, hasBody } from './unread-body.ts';

/** How long requests may take to arrive. */
export type ReceiveLimits = {
  /** Counts a connection until it closes, or closes it. Answers whether it may stay. */
  readonly admit: (socket: Socket) => boolean;
  /** How long the head of a request may take, from the first byte or from the connection. */
  readonly headMs: number;
  /** How long a whole request may take. */
  readonly requestMs: number;
  /** How long a body may take whatever its size … */
  readonly bodyMs: number;
  /** … plus one second for so many bytes: a caller that sends a byte a second does not hold a connection for long. */
  readonly bytesPerSecond: number;
};

export const RECEIVE_LIMITS: Omit<ReceiveLimits, 'admit'> = {
  headMs: 10_000,
  requestMs: 180_000,
  bodyMs: 15_000,
  bytesPerSecond: 1_024,
};

const CHECK_MS = 1_000;
/** Longer than proxies keep a connection, so that the proxy closes it and no request meets a closed one. */
const KEEP_ALIVE_MS = 72_000;
/** Bytes that are dropped of a body that was answered before its end, twice the largest body; then the connection is closed. */
const MAX_DROPPED_BYTES = 128 * 1024 * 1024;

type Body = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly sinceMs: number;
  readonly bytesBefore: number;
};

/** Makes an HTTP server with bounded connections, whose heads and bodies have to arrive in time, and that reads no body before the head was checked. */
export function createBoundedServer(limits: ReceiveLimits, listener: RequestListener): Server {
  const bodies = new Map<Socket, Body>();
  const receive = (request: IncomingMessage, response: ServerResponse): void => {
    if (hasBody(request)) {
      const { socket } = request;
      bodies.set(socket, { request, response, sinceMs: performance.now(), bytesBefore: socket.bytesRead });
    }
    listener(request, response);
  };
  const server = createServer(
    {
      headersTimeout: limits.headMs,
      requestTimeout: limits.requestMs,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: Math.min(limits.headMs, 2_000),
    },
    receive,
  );
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    expectContinue(request);
    receive(request, response);
  });
  server.on('connection', (socket: Socket) => {
    if (limits.admit(socket)) socket.once('close', () => bodies.delete(socket));
  });
  const check = setInterval(() => {
    const nowMs = performance.now();
    for (const [socket, { request, response, sinceMs, bytesBefore }] of bodies) {
      if (request.complete) {
        bodies.delete(socket);
        continue;
      }
      if (response.writableFinished && socket.bytesRead - bytesBefore > MAX_DROPPED_BYTES) {
        socket.destroy();
        continue;
      }
      const allowedMs = limits.bodyMs + ((socket.bytesRead - bytesBefore) / limits.bytesPerSecond) * 1_000;
      if (nowMs - sinceMs < allowedMs) continue;
      if (!response.headersSent && socket.writable) socket.write(connectionAnswer('ERR_HTTP_REQUEST_TIMEOUT'));
      socket.destroy();
    }
  }, CHECK_MS);
  check.unref();
  server.once('close', () => clearInterval(check));
  return server;
}
