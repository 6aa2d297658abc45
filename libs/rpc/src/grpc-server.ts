import * as grpc from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { Refusal } from '@evenfall/errors';
import type { Guard } from '@evenfall/request-guard';
import type { BoundService, CallContext, ServiceDefinition } from './contract.ts';
import { serializing } from './encoded.ts';
import { wasReset } from './call-internals.ts';
import { admitting, type CallHead, type MessageBounds } from './admitting.ts';
import { type ConnectionRules, type Connections, listenTo } from './connections.ts';
import { decoding, messageOf } from './large-messages.ts';
import { OVER } from './over.ts';
import { type OnUnexpected, toRefusal } from './failures.ts';
import { pushable } from './pushable.ts';
import { reflectionServices } from './reflection.ts';
import { releaseStreams } from './release-streams.ts';
import { statusOf } from './status-of.ts';
import type { PeerTls } from './tls/peer-tls.ts';

export type GrpcServerOptions = {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly services: readonly BoundService[];
  /** Switches reflection on: a file descriptor set, and full names of the services that are listed. Their packages are shown, and what those import. */
  readonly reflection?: { readonly image: Uint8Array; readonly services: readonly string[] };
  readonly maxMessageBytes?: number;
  /** Asked before every call, health checks too, whether its head may be one. */
  readonly guard?: Guard;
  /** Asked before every call but health checks, by its head; throws a refusal to turn it away, or rejects with one. No message is read before. */
  readonly authorize?: (head: CallHead) => void | Promise<void>;
  /** How many milliseconds the answer to a call waits that was turned away by `authorize`. */
  readonly delayMs?: (head: CallHead, refusal: Refusal) => number;
  /** Asks every caller for a certificate. Without, connections are plain. */
  readonly tls?: PeerTls;
  /** Bounds of connections, calls and messages, for an API that is open to unknown callers. Without them, as between services. */
  readonly limits?: ApiLimits;
  readonly onUnexpected?: OnUnexpected;
  /** Called for every refusal that a caller gets. */
  readonly onRefusal?: (refusal: Refusal) => void;
};

/** Bounds of an API. */
export type ApiLimits = {
  readonly connections: ConnectionRules;
  /** Calls that are open on one connection at the same time; further ones wait at the caller. */
  readonly maxStreams: number;
  /** How long a connection may stay open without a call. */
  readonly idleMs: number;
  readonly messages: (path: string) => MessageBounds;
};

/** A running server. */
export type GrpcServer = {
  readonly port: number;
  /** Says not serving, refuses new calls, waits for unary ones, then ends the streams. */
  stop(graceMs: number): Promise<void>;
};

/** Starts a gRPC server with health checks, and reflection where an image is given. Rejects if the port is taken. */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  releaseStreams();
  const max = options.maxMessageBytes ?? 64 * 1024 * 1024;
  const { limits } = options;
  let connections: Connections | undefined;
  const { guard, authorize, delayMs, onRefusal } = options;
  const admission = admitting({
    guard,
    authorize,
    delayMs,
    onRefusal,
    onUnexpected: options.onUnexpected,
    bounds: limits?.messages,
    connectionOf: (peer) => connections?.of(peer),
  });
  const server = new grpc.Server({
    'grpc.max_receive_message_length': max,
    'grpc.max_send_message_length': max,
    'grpc.so_reuseport': 0,
    'grpc.enable_channelz': 0,
    // A caller that is paused, or whose machine is gone, is disconnected.
    'grpc.keepalive_time_ms': 20_000,
    'grpc.keepalive_timeout_ms': 10_000,
    ...(limits ? { 'grpc.max_concurrent_streams': limits.maxStreams, 'grpc.max_connection_idle_ms': limits.idleMs } : {}),
    interceptors: guard || authorize || limits ? [admission.interceptor] : [],
  });
  const { reflection } = options;
  const reflected = reflection ? reflectionServices(reflection.image, reflection.services) : [];
  for (const { service, implementation } of [...options.services, ...reflected]) {
    const handlers: Record<string, grpc.UntypedHandleCall> = {};
    for (const [name, method] of Object.entries(service)) {
      handlers[name] = handlerOf(implementation[name] as AnyHandler, method.path, method, options);
    }
    const sent = Object.entries(service).map(([name, method]) => [
      name,
      {
        ...method,
        responseSerialize: serializing(method.responseSerialize),
        requestDeserialize: decoding(method.requestDeserialize, limits?.messages(method.path).fault),
      },
    ]);
    server.addService(Object.fromEntries(sent) as grpc.ServiceDefinition, handlers);
  }
  const served = ['', ...options.services.flatMap(({ service }) => serviceNames(service))];
  const health = new HealthImplementation(Object.fromEntries(served.map((name) => [name, 'SERVING'])));
  health.addToServer(server);
  const credentials = options.tls?.serverCredentials() ?? grpc.ServerCredentials.createInsecure();
  if (limits) {
    const injector = server.createConnectionInjector(credentials);
    connections = await listenTo({ host: options.host, port: options.port, rules: limits.connections }, (socket) =>
      injector.injectConnection(socket),
    );
  }
  const port = connections?.port ?? (await bind(server, options, credentials));
  return {
    port,
    async stop(graceMs) {
      connections?.close();
      for (const name of served) health.setStatus(name, 'NOT_SERVING');
      const quiet = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, graceMs);
      });
      await Promise.race([quiet, late]); // tryShutdown alone would wait for ever on open streams
      clearTimeout(timer);
      admission.stop();
      server.forceShutdown();
    },
  };
}

function bind(server: grpc.Server, { host, port }: GrpcServerOptions, credentials: grpc.ServerCredentials): Promise<number> {
  const name = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  return new Promise((resolve, reject) => {
    server.bindAsync(`${name}:${port}`, credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
}

/** Full name of a service, which its methods' paths ("/package.Service/Method") begin with. */
function serviceNames(service: ServiceDefinition): string[] {
  return Object.values(service)
    .slice(0, 1)
    .map(({ path }) => path.split('/')[1] ?? '');
}

type AnyHandler = (request: unknown, context: CallContext) => unknown;
type Kind = { readonly requestStream: boolean; readonly responseStream: boolean };
type ServerCall = { readonly metadata: grpc.Metadata; getPeer(): string; on(event: 'cancelled', listener: () => void): unknown };

function handlerOf(handler: AnyHandler, path: string, kind: Kind, options: GrpcServerOptions): grpc.UntypedHandleCall {
  const open = (call: ServerCall): { context: CallContext; end: () => void } => {
    const controller = new AbortController();
    call.on('cancelled', () => controller.abort(OVER));
    const context: CallContext = {
      signal: controller.signal,
      address: addressOf(call.getPeer()),
      header: (name) => {
        const value = call.metadata.get(name)[0];
        return typeof value === 'string' ? value : undefined;
      },
    };
    return { context, end: () => controller.abort(OVER) };
  };
  const failure = (error: unknown) => {
    const refusal = toRefusal(error, path, options.onUnexpected);
    options.onRefusal?.(refusal);
    return statusOf(refusal);
  };

  if (!kind.responseStream) {
    return ((
      call: grpc.ServerUnaryCall<unknown, unknown> & grpc.ServerReadableStream<unknown, unknown>,
      done: grpc.sendUnaryData<unknown>,
    ) => {
      const { context } = open(call);
      const answer = async (): Promise<unknown> => {
        return handler(kind.requestStream ? requestsOf(call, () => new Refusal('CANCELLED')) : await messageOf(call.request), context);
      };
      answer().then(
        (value) => done(null, value),
        (error: unknown) => done(failure(error)),
      );
    }) as grpc.UntypedHandleCall;
  }
  return ((call: grpc.ServerWritableStream<unknown, unknown> & grpc.ServerReadableStream<unknown, unknown>) => {
    const { context, end } = open(call);
    const pump = async (): Promise<void> => {
      const requests = kind.requestStream ? requestsOf(call) : await messageOf(call.request);
      for await (const response of handler(requests, context) as AsyncIterable<unknown>) {
        if (context.signal.aborted) return;
        if (!call.write(response)) await drained(call, context.signal);
      }
      call.end();
    };
    pump()
      .catch((error: unknown) => {
        if (!context.signal.aborted) call.emit('error', failure(error));
      })
      .finally(end);
  }) as grpc.UntypedHandleCall;
}

/** The address of a peer, without its port. */
function addressOf(peer: string): string {
  return peer.slice(0, peer.lastIndexOf(':'));
}

/** What a caller sends. With `broken` a stream that was reset fails; without, for those who look at the signal of their call, it ends. */
function requestsOf(call: grpc.ServerReadableStream<unknown, unknown>, broken?: () => Refusal): AsyncIterable<unknown> {
  const buffer = pushable<unknown>();
  const leave = (): void => (broken ? buffer.fail(broken()) : buffer.end());
  call.on('data', (value: unknown) => {
    buffer.push(value);
    if (buffer.size >= 64) call.pause();
  });
  call.on('end', () => (wasReset(call) ? leave() : buffer.end()));
  call.on('cancelled', leave);
  call.on('error', leave);
  return {
    [Symbol.asyncIterator]() {
      const inner = buffer[Symbol.asyncIterator]();
      return {
        async next() {
          const step = await inner.next();
          const value: unknown = await messageOf(step.value as unknown);
          if (call.isPaused() && buffer.size < 32) call.resume();
          return step.done === true ? step : { done: false, value };
        },
        return: (value?: unknown) => (inner.return ? inner.return(value) : Promise.resolve({ done: true, value: undefined })),
      };
    },
  };
}

/** Resolves when the transport takes more, or the call is over. */
function drained(call: grpc.ServerWritableStream<unknown, unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      call.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    call.on('drain', done);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}
