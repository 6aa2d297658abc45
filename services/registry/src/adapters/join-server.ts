import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { isRefusal, refuse } from '@evenfall/errors';
import type { TlsFiles } from '@evenfall/rpc';
import { createRepeats, type Log } from '@evenfall/telemetry';
import type { Joined, JoinRequest } from '../ports.ts';

export type JoinServerOptions = {
  readonly host: string;
  readonly port: number;
  /** Who the registry is. */
  readonly tls: TlsFiles;
  /** The certificate (PEM) of the authority, which agents know by its digest. */
  readonly authority: string;
  readonly join: (request: JoinRequest) => Promise<Joined>;
  readonly log: Log;
};
export type JoinServer = { readonly port: number; stop(): Promise<void> };

const MAX_BODY_BYTES = 16_384;
const MAX_CONNECTIONS = 256;
/** How often it is said of one address that it was turned away. */
const SILENCE_MS = 60_000;
/** How often the files of TLS are looked at. */
const LOOK_MS = 5_000;

/**
 * The one API for agents that have no certificate yet: HTTPS, since the gRPC port asks callers for one. It shows its own certificate and that of the
 * authority, and takes `POST /v1/join` alone.
 */
export async function startJoinServer(options: JoinServerOptions): Promise<JoinServer> {
  const { host, port, log } = options;
  const turnedAway = createRepeats(SILENCE_MS);
  let current = await contextOf(options);
  const server = createServer(
    {
      ...current,
      minVersion: 'TLSv1.2',
      handshakeTimeout: 10_000,
      requestTimeout: 15_000,
      headersTimeout: 10_000,
      keepAliveTimeout: 1_000,
    },
    (request, response) =>
      void answer(options, request, response).catch((error: unknown) => {
        const address = request.socket.remoteAddress ?? '';
        const count = turnedAway.note(address);
        if (isRefusal(error) && count !== undefined) log.warn('an agent was not let join', { reason: error.reason, address, count });
        else if (!isRefusal(error) && !request.destroyed) log.error('an agent could not join', error);
        if (isRefusal(error)) reply(response, error.httpStatus, { reason: error.reason, message: error.message });
        else reply(response, 500, { reason: 'INTERNAL' });
      }),
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.on('tlsClientError', () => undefined); // failed handshakes of unknown clients are not logged
  const look = async (): Promise<void> => {
    try {
      const next = await contextOf(options);
      if (next.cert !== current.cert) server.setSecureContext(next);
      current = next;
    } catch (error) {
      log.warn('the certificate of the join port could not be read; the one before stays', { error: String(error) });
    }
  };
  await listen(server, host, port);
  const timer = setInterval(() => void look(), LOOK_MS);
  timer.unref();
  const address = server.address();
  return {
    port: address !== null && typeof address === 'object' ? address.port : port,
    async stop() {
      clearInterval(timer);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function contextOf({ tls, authority }: JoinServerOptions): Promise<{ readonly cert: string; readonly key: string }> {
  const [certificate, key] = await Promise.all([readFile(tls.certificateFile, 'utf8'), readFile(tls.keyFile, 'utf8')]);
  return { cert: `${certificate.trimEnd()}\n${authority}`, key };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host.replace(/^\[|\]$/g, ''), () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function answer({ join }: JoinServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'POST' || request.url !== '/v1/join') {
    reply(response, 404, { reason: 'UNKNOWN_PATH' });
    return;
  }
  const { agentId, certificate, authorities } = await join(readRequest(await bodyOf(request)));
  reply(response, 200, { agent_id: agentId, certificate, authorities });
}

function reply(response: ServerResponse, status: number, body: object): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', connection: 'close' });
  response.end(JSON.stringify(body));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MAX_BODY_BYTES) throw refuse('INVALID_FIELD', { field: 'body', rule: `at most ${MAX_BODY_BYTES} bytes` });
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function readRequest(text: string): JoinRequest {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  const {
    token,
    signing_request: signingRequest,
    agent_id: agentId = '',
  } = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>; // looked at below
  if (typeof token !== 'string' || typeof signingRequest !== 'string' || typeof agentId !== 'string')
    throw refuse('INVALID_FIELD', { field: 'body', rule: 'an object of JSON with token, signing_request and perhaps agent_id' });
  return { token, signingRequest, agentId };
}
