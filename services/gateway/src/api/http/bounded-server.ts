import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createListener, isIP, type Socket } from 'node:net';
import { connectionAnswer } from './errors.ts';

/** How requests may arrive. */
export type ArrivalRules = {
  /** Counts a connection until it closes, or closes it. Answers whether it may stay. */
  readonly admit: (socket: Socket) => boolean;
  /** How long the head of a request may take, from the first byte or from the connection. */
  readonly headMs: number;
  /** How long a whole request may take. */
  readonly requestMs: number;
  /** How long a body may take whatever its size … */
  readonly bodyMs: number;
  /** … and beside that a second for so many bytes: a caller that sends a byte a second holds no connection for long. */
  readonly bytesPerSecond: number;
};

export const ARRIVAL: Omit<ArrivalRules, 'admit'> = { headMs: 10_000, requestMs: 180_000, bodyMs: 15_000, bytesPerSecond: 1_024 };

/** Callers that wait to be asked for their body (`Expect: 100-continue`). */
const waiting = new WeakSet<IncomingMessage>();
const LOOK_MS = 1_000;
/** Longer than proxies keep a connection, so that it is they who close it. */
const KEEP_ALIVE_MS = 72_000;
/** How long somebody who was turned away may read the answer before the connection is closed on the rest of the body. */
const READ_ANSWER_MS = 250;
/** Of a body that was answered before its end, so much is let by, twice the largest there is; then the connection is closed. */
const MOST_BYTES_ANSWERED = 128 * 1024 * 1024;

type Body = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly sinceMs: number;
  readonly bytesBefore: number;
};

/** Makes the server of a door: bounded connections, heads and bodies that arrive in time, and no body before the head was judged. */
export function arrivalServer(rules: ArrivalRules, listener: RequestListener): Server {
  const bodies = new Map<Socket, Body>();
  const take = (request: IncomingMessage, response: ServerResponse): void => {
    if (hasBody(request)) {
      const { socket } = request;
      bodies.set(socket, { request, response, sinceMs: performance.now(), bytesBefore: socket.bytesRead });
    }
    listener(request, response);
  };
  const server = createServer(
    {
      headersTimeout: rules.headMs,
      requestTimeout: rules.requestMs,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: Math.min(rules.headMs, 2_000),
    },
    take,
  );
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    waiting.add(request);
    take(request, response);
  });
  server.on('connection', (socket: Socket) => {
    if (rules.admit(socket)) socket.once('close', () => bodies.delete(socket));
  });
  const look = setInterval(() => {
    const nowMs = performance.now();
    for (const [socket, { request, response, sinceMs, bytesBefore }] of bodies) {
      if (request.complete) {
        bodies.delete(socket);
        continue;
      }
      if (response.writableFinished && socket.bytesRead - bytesBefore > MOST_BYTES_ANSWERED) {
        socket.destroy();
        continue;
      }
      const takenMs = rules.bodyMs + ((socket.bytesRead - bytesBefore) / rules.bytesPerSecond) * 1_000;
      if (nowMs - sinceMs < takenMs) continue;
      if (!response.headersSent && socket.writable) socket.write(connectionAnswer('ERR_HTTP_REQUEST_TIMEOUT'));
      socket.destroy();
    }
  }, LOOK_MS);
  look.unref();
  server.once('close', () => clearInterval(look));
  return server;
}

/** Addresses of a host to listen on: a name such as `localhost` may have several. */
export async function addressesOf(host: string): Promise<readonly [string, ...string[]]> {
  const plain = host.replace(/^\[(.*)\]$/, '$1');
  if (isIP(plain)) return [plain];
  const [first, ...more] = [...new Set((await lookup(plain, { all: true })).map(({ address }) => address))];
  return [first ?? plain, ...more];
}

/** Has a server that listens take connections at a further address too, at its own port; until it closes. */
export async function alsoListen(server: Server, address: string): Promise<void> {
  const at = server.address();
  const listener = createListener((socket) => void server.emit('connection', socket));
  listener.listen({ host: address, port: typeof at === 'object' ? (at?.port ?? 0) : 0 });
  await once(listener, 'listening');
  server.once('close', () => listener.close());
}

/** Asks a caller for its body, if it waits to be asked. To be called once it is known that the body is wanted. */
export function askForBody(request: IncomingMessage, response: ServerResponse): void {
  if (waiting.delete(request)) response.writeContinue();
}

/**
 * Reads no more of what a caller that is turned away sends: what has come is let be, and once the answer is sent and there was time to read it
 * the connection is closed.
 */
export function stopReading(request: IncomingMessage, response: ServerResponse): void {
  if (request.complete || !hasBody(request)) return;
  request.read(0); // else node reads the rest and drops it, however much it is
  response.once('finish', () => {
    setTimeout(() => {
      if (!request.complete) request.socket.destroy();
    }, READ_ANSWER_MS).unref();
  });
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
