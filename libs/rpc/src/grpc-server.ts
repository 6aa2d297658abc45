import * as grpc from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import type { Refusal } from '@evenfall/errors';
import type { Guard } from '@evenfall/request-guard';
import type { BoundService, CallContext, ServiceDefinition } from './contract.ts';
import { serializing } from './encoded.ts';
import { guarding } from './guarding.ts';
import { OVER } from './over.ts';
import { type OnUnexpected, toRefusal } from './failures.ts';
import { pushable } from './pushable.ts';
import { reflectionServices } from './reflection.ts';
import { releaseStreams } from './release-streams.ts';
import { statusOf } from './status-of.ts';

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
  /** Asked before every call; throws a refusal to turn it away. */
  readonly authorize?: (context: CallContext, path: string) => void;
  readonly onUnexpected?: OnUnexpected;
  /** Told of every refusal a caller gets. */
  readonly onRefusal?: (refusal: Refusal) => void;
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
  const server = new grpc.Server({
    'grpc.max_receive_message_length': max,
    'grpc.max_send_message_length': max,
    'grpc.so_reuseport': 0,
    'grpc.enable_channelz': 0,
    // A caller that stands still, or whose machine is gone, is let go of.
    'grpc.keepalive_time_ms': 20_000,
    'grpc.keepalive_timeout_ms': 10_000,
    interceptors: options.guard ? [guarding(options.guard, options.onRefusal)] : [],
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
      { ...method, responseSerialize: serializing(method.responseSerialize) },
    ]);
    server.addService(Object.fromEntries(sent) as grpc.ServiceDefinition, handlers);
  }
  const served = ['', ...options.services.flatMap(({ service }) => serviceNames(service))];
  const health = new HealthImplementation(Object.fromEntries(served.map((name) => [name, 'SERVING'])));
  health.addToServer(server);
  const port = await new Promise<number>((resolve, reject) => {
    const host = options.host.includes(':') && !options.host.startsWith('[') ? `[${options.host}]` : options.host;
    server.bindAsync(`${host}:${options.port}`, grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return {
    port,
    async stop(graceMs) {
      for (const name of served) health.setStatus(name, 'NOT_SERVING');
      const quiet = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, graceMs);
      });
      await Promise.race([quiet, late]); // tryShutdown alone would wait for ever on open streams
      clearTimeout(timer);
      server.forceShutdown();
    },
  };
}

/** Full name of a service, which its methods' paths ("/package.Service/Method") begin with. */
function serviceNames(service: ServiceDefinition): string[] {
  return Object.values(service)
    .slice(0, 1)
    .map(({ path }) => path.split('/')[1] ?? '');
}

type AnyHandler = (request: unknown, context: CallContext) => unknown;
type Kind = { readonly requestStream: boolean; readonly responseStream: boolean };
type ServerCall = { readonly metadata: grpc.Metadata; on(event: 'cancelled', listener: () => void): unknown };

function handlerOf(handler: AnyHandler, path: string, kind: Kind, options: GrpcServerOptions): grpc.UntypedHandleCall {
  const open = (call: ServerCall): { context: CallContext; end: () => void } => {
    const controller = new AbortController();
    call.on('cancelled', () => controller.abort(OVER));
    const context: CallContext = {
      signal: controller.signal,
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
        options.authorize?.(context, path);
        return handler(kind.requestStream ? requestsOf(call) : call.request, context);
      };
      answer().then(
        (value) => done(null, value),
        (error: unknown) => done(failure(error)),
      );
    }) as grpc.UntypedHandleCall;
  }
  return ((call: grpc.ServerWritableStream<unknown, unknown> & grpc.ServerReadableStream<unknown, unknown>) => {
    const { context, end } = open(call);
    const requests = kind.requestStream ? requestsOf(call) : call.request;
    const pump = async (): Promise<void> => {
      options.authorize?.(context, path);
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

function requestsOf(call: grpc.ServerReadableStream<unknown, unknown>): AsyncIterable<unknown> {
  const buffer = pushable<unknown>();
  call.on('data', (value: unknown) => {
    buffer.push(value);
    if (buffer.size >= 64) call.pause();
  });
  call.on('end', () => buffer.end());
  call.on('cancelled', () => buffer.end());
  call.on('error', () => buffer.end());
  return {
    [Symbol.asyncIterator]() {
      const inner = buffer[Symbol.asyncIterator]();
      return {
        async next() {
          const step = await inner.next();
          if (call.isPaused() && buffer.size < 32) call.resume();
          return step;
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
