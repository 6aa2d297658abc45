import * as grpc from '@grpc/grpc-js';
import { Refusal } from '@evenfall/errors';
import type { CallOptions, ClientOf, MethodDefinition, ServiceDefinition } from './contract.ts';
import { decodeStatus, DETAILS_TRAILER } from './error-info.ts';
import { refusalOfCode } from './failures.ts';
import { pushable } from './pushable.ts';

export type GrpcClientOptions = {
  /** Largest message taken, in bytes. Default 64 MiB. */
  readonly maxMessageBytes?: number;
};

/** A client and the way to let go of its channel. */
export type GrpcClient<S> = { readonly client: ClientOf<S>; close(): void };

/** Calls a service over gRPC, plaintext. Connects when first used, and again by itself. */
export function grpcClient<S extends ServiceDefinition>(service: S, address: string, options: GrpcClientOptions = {}): GrpcClient<S> {
  const max = options.maxMessageBytes ?? 64 * 1024 * 1024;
  const channel = new grpc.Client(address, grpc.credentials.createInsecure(), {
    'grpc.max_receive_message_length': max,
    'grpc.max_send_message_length': max,
    'grpc.keepalive_time_ms': 25_000,
    'grpc.keepalive_timeout_ms': 10_000,
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.initial_reconnect_backoff_ms': 200,
    'grpc.max_reconnect_backoff_ms': 5_000,
  });
  const client: Record<string, unknown> = {};
  for (const [name, method] of Object.entries(service)) client[name] = methodOf(channel, method);
  return { client: client as ClientOf<S>, close: () => channel.close() };
}

type Ser = (value: unknown) => Buffer;
type De = (bytes: Buffer) => unknown;

function methodOf(channel: grpc.Client, method: MethodDefinition) {
  const ser = method.requestSerialize as Ser;
  const de: De = method.responseDeserialize;
  const { path } = method;
  if (!method.requestStream && !method.responseStream) {
    return (request: unknown, options: CallOptions = {}) =>
      unary(options, (done) => channel.makeUnaryRequest(path, ser, de, request, metadataOf(options), callOptionsOf(options), done));
  }
  if (method.requestStream && !method.responseStream) {
    return (requests: AsyncIterable<unknown>, options: CallOptions = {}) =>
      unary(options, (done) => {
        const call = channel.makeClientStreamRequest(path, ser, de, metadataOf(options), callOptionsOf(options), done);
        void pumpRequests(requests, call);
        return call;
      });
  }
  if (!method.requestStream) {
    return (request: unknown, options: CallOptions = {}) =>
      responsesOf(channel.makeServerStreamRequest(path, ser, de, request, metadataOf(options), callOptionsOf(options)), options);
  }
  return (requests: AsyncIterable<unknown>, options: CallOptions = {}) => {
    const call = channel.makeBidiStreamRequest(path, ser, de, metadataOf(options), callOptionsOf(options));
    const responses = responsesOf(call, options);
    void pumpRequests(requests, call);
    return responses;
  };
}

function unary(options: CallOptions, start: (done: grpc.requestCallback<unknown>) => { cancel(): void }): Promise<unknown> {
  return new Promise((resolve, reject) => {
    if (options.signal?.aborted) return reject(new Refusal('CANCELLED'));
    const call = start((error, value) => {
      options.signal?.removeEventListener('abort', cancel);
      if (error) reject(refusalOf(error));
      else resolve(value);
    });
    const cancel = () => call.cancel();
    options.signal?.addEventListener('abort', cancel, { once: true });
  });
}

/** Answers wait here; above this many the transport is told to hold. */
const HIGH_WATER = 64;

function responsesOf(call: grpc.ClientReadableStream<unknown>, options: CallOptions): AsyncIterable<unknown> {
  const cancel = () => call.cancel();
  const buffer = pushable<unknown>(cancel);
  if (options.signal?.aborted) cancel();
  options.signal?.addEventListener('abort', cancel, { once: true });
  const leave = () => options.signal?.removeEventListener('abort', cancel);
  // Attached at once: a stream that is paused before its first read buffers without limit (grpc-js subchannel-call).
  call.on('data', (value: unknown) => {
    buffer.push(value);
    if (buffer.size >= HIGH_WATER) call.pause();
  });
  call.on('end', () => {
    leave();
    buffer.end();
  });
  call.on('error', (error: grpc.ServiceError) => {
    leave();
    buffer.fail(refusalOf(error));
  });
  return {
    [Symbol.asyncIterator]() {
      const inner = buffer[Symbol.asyncIterator]();
      return {
        async next() {
          const step = await inner.next();
          if (call.isPaused() && buffer.size < HIGH_WATER / 2) call.resume();
          return step;
        },
        return: (value?: unknown) => (inner.return ? inner.return(value) : Promise.resolve({ done: true, value: undefined })),
      };
    },
  };
}

/** Writes what comes, no faster than the transport takes it, until the call ends. */
async function pumpRequests(requests: AsyncIterable<unknown>, call: grpc.ClientWritableStream<unknown>): Promise<void> {
  const iterator = requests[Symbol.asyncIterator]();
  let over = false;
  let goOn: (() => void) | undefined;
  const rouse = (): void => {
    goOn?.();
    goOn = undefined;
  };
  // Not a race against one long promise: every round of it would be kept until the call ends.
  const stop = (): void => {
    over = true;
    rouse();
    void iterator.return?.();
  };
  call.on('drain', rouse);
  for (const end of ['close', 'error', 'status']) call.on(end, stop);
  try {
    for (let step = await iterator.next(); !step.done && !over; step = await iterator.next()) {
      if (call.write(step.value) || over) continue;
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
    }
    if (!over) call.end();
  } catch {
    call.cancel(); // whoever feeds the stream has failed and knows it; the other side sees a cancelled call
  }
}

function metadataOf(options: CallOptions): grpc.Metadata {
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(options.headers ?? {})) metadata.set(name, value);
  return metadata;
}

function callOptionsOf(options: CallOptions): grpc.CallOptions {
  return options.timeoutMs === undefined ? {} : { deadline: Date.now() + options.timeoutMs };
}

function refusalOf(error: grpc.ServiceError): Refusal {
  const details = error.metadata?.get(DETAILS_TRAILER)[0];
  const told = details instanceof Buffer ? decodeStatus(details) : undefined;
  return told ?? refusalOfCode(error.code, error.details);
}
