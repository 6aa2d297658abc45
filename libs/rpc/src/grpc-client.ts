import * as grpc from '@grpc/grpc-js';
import { Refusal } from '@evenfall/errors';
import type { CallOptions, ClientOf, MethodDefinition, ServiceDefinition } from './contract.ts';
import { decodeStatus, DETAILS_TRAILER } from './error-info.ts';
import { refusalOfCode } from './failures.ts';
import { pushable } from './pushable.ts';
import { releaseStreams } from './release-streams.ts';
import type { PeerTls } from './tls/peer-tls.ts';

export type PeerOptions = {
  /** Sent with every call, e.g. the key. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Speaks TLS with a peer that has this identity. Without, the channel is plain. */
  readonly secure?: { readonly tls: PeerTls; readonly identity: string };
  /** Lets streams wait for a peer that is away instead of failing at once: for those that a loop opens anew for ever. */
  readonly streamsWait?: boolean;
  /** Spreads calls over all addresses, and tries those that did not arrive once more with another: for replicas any of which can answer. */
  readonly spread?: boolean;
  /** Until a unary call that names no time is given up. Default 60 s. */
  readonly timeoutMs?: number;
  /** Largest message taken, in bytes. Default 64 MiB. */
  readonly maxMessageBytes?: number;
};

/** Another process: every service it has, over one channel. */
export type Peer = {
  client<S extends ServiceDefinition>(service: S): ClientOf<S>;
  /** Whether it says of itself that it is serving; false if it does not answer in time. */
  isServing(timeoutMs: number): Promise<boolean>;
  close(): void;
};

/** Another replica may be there; a call that was answered, or whose stream has begun, is not made again. */
const SPREAD = JSON.stringify({
  loadBalancingConfig: [{ round_robin: {} }],
  methodConfig: [
    {
      name: [{}],
      retryPolicy: {
        maxAttempts: 3,
        initialBackoff: '0.05s',
        maxBackoff: '0.5s',
        backoffMultiplier: 3,
        retryableStatusCodes: ['UNAVAILABLE'],
      },
    },
  ],
});

/**
 * Opens a channel to a process. Connects when first used, and again by itself as soon as the process is back. Several addresses, of
 * IPv4, are separated by commas.
 */
export function openPeer(address: string, options: PeerOptions = {}): Peer {
  releaseStreams();
  const max = options.maxMessageBytes ?? 64 * 1024 * 1024;
  const target = address.includes(',') ? `ipv4:${address}` : address;
  const { secure } = options;
  const credentials = secure ? secure.tls.channelCredentials(secure.identity) : grpc.credentials.createInsecure();
  const channel = new grpc.Client(target, credentials, {
    // Identities are checked, not addresses; an address must not be sent as a name of TLS.
    ...(secure ? { 'grpc.ssl_target_name_override': secure.identity } : {}),
    'grpc.max_receive_message_length': max,
    'grpc.max_send_message_length': max,
    'grpc.enable_channelz': 0,
    ...(options.spread ? { 'grpc.service_config': SPREAD } : {}),
    // A peer that is paused, or whose machine is gone, is silent: it is given up after 15 s.
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5_000,
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 1_000,
    // A pod that comes back has another address; the default is to look it up twice a minute.
    'grpc.dns_min_time_between_resolutions_ms': 1_000,
  });
  const timeoutMs = options.timeoutMs ?? 60_000;
  return {
    client<S extends ServiceDefinition>(service: S) {
      const client: Record<string, unknown> = {};
      for (const [name, method] of Object.entries(service)) client[name] = methodOf(channel, method, { ...options, timeoutMs });
      return client as ClientOf<S>;
    },
    isServing: (withinMs) => isServing(channel, withinMs),
    close: () => channel.close(),
  };
}

/** A client, and how to close its channel. */
export type GrpcClient<S> = { readonly client: ClientOf<S>; close(): void };

/** Calls one service of a process over gRPC. */
export function grpcClient<S extends ServiceDefinition>(service: S, address: string, options: PeerOptions = {}): GrpcClient<S> {
  const peer = openPeer(address, options);
  return { client: peer.client(service), close: peer.close };
}

/** `grpc.health.v1.Health/Check` of the whole server: an empty request; SERVING is 1 in field 1. */
function isServing(channel: grpc.Client, timeoutMs: number): Promise<boolean> {
  const asIs = (bytes: Buffer): Buffer => bytes;
  return new Promise((resolve) => {
    channel.makeUnaryRequest(
      '/grpc.health.v1.Health/Check',
      asIs,
      asIs,
      Buffer.alloc(0),
      { deadline: Date.now() + timeoutMs },
      (error, answer) => resolve(!error && answer?.equals(Buffer.of(8, 1)) === true),
    );
  });
}

type Ser = (value: unknown) => Buffer;
type De = (bytes: Buffer) => unknown;

type Defaults = Pick<PeerOptions, 'headers' | 'streamsWait'> & { readonly timeoutMs: number };

function methodOf(channel: grpc.Client, method: MethodDefinition, defaults: Defaults) {
  const ser = method.requestSerialize as Ser;
  const de: De = method.responseDeserialize;
  const { path } = method;
  const isUnary = !method.requestStream && !method.responseStream;
  const callOptions = (options: CallOptions): [grpc.Metadata, grpc.CallOptions] => {
    const metadata = new grpc.Metadata({ waitForReady: !isUnary && defaults.streamsWait === true });
    for (const [name, value] of Object.entries({ ...defaults.headers, ...options.headers })) metadata.set(name, value);
    const timeoutMs = options.timeoutMs ?? (isUnary ? defaults.timeoutMs : undefined);
    return [metadata, timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs }];
  };
  if (isUnary) {
    return (request: unknown, options: CallOptions = {}) =>
      unary(options, (done) => channel.makeUnaryRequest(path, ser, de, request, ...callOptions(options), done));
  }
  if (!method.responseStream) {
    return (requests: AsyncIterable<unknown>, options: CallOptions = {}) => {
      let failed: { readonly error: unknown } | undefined;
      return unary(options, (done) => {
        const call = channel.makeClientStreamRequest(path, ser, de, ...callOptions(options), done);
        void pumpRequests(requests, call, (error) => (failed = { error }));
        return call;
      }).catch((error: unknown) => {
        throw failed ? failed.error : error; // the cancellation that followed says less
      });
    };
  }
  if (!method.requestStream) {
    return (request: unknown, options: CallOptions = {}) =>
      responsesOf(channel.makeServerStreamRequest(path, ser, de, request, ...callOptions(options)), options);
  }
  return (requests: AsyncIterable<unknown>, options: CallOptions = {}) => {
    const call = channel.makeBidiStreamRequest(path, ser, de, ...callOptions(options));
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

/** Answers wait here; above this many the transport is paused. */
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
async function pumpRequests(
  requests: AsyncIterable<unknown>,
  call: grpc.ClientWritableStream<unknown>,
  onFailure?: (error: unknown) => void,
): Promise<void> {
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
  } catch (error) {
    onFailure?.(error);
    call.cancel(); // the source of the stream has failed and knows it; the other side sees a cancelled call
  }
}

function refusalOf(error: grpc.ServiceError): Refusal {
  const details = error.metadata?.get(DETAILS_TRAILER)[0];
  const refusal = details instanceof Buffer ? decodeStatus(details) : undefined;
  return refusal ?? refusalOfCode(error.code, error.details);
}
