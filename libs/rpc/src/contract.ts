/** One method of a service, as ts-proto describes it for grpc-js. */
export type MethodDefinition = {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (value: never) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => unknown;
  readonly responseSerialize: (value: never) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => unknown;
};

export type ServiceDefinition = Readonly<Record<string, MethodDefinition>>;

type RequestOf<M> = M extends { requestDeserialize: (bytes: Buffer) => infer R } ? R : never;
type ResponseOf<M> = M extends { responseDeserialize: (bytes: Buffer) => infer R } ? R : never;

/** What a handler gets about the call in addition to its request. */
export type CallContext = {
  /** Aborted when the caller went away or its deadline passed. */
  readonly signal: AbortSignal;
  /** Where the call comes from, without its port; undefined in the same process. */
  readonly address?: string;
  /** A header the caller sent; undefined if it did not. */
  header(name: string): string | undefined;
};

/** What a caller may say beside its request. */
export type CallOptions = {
  readonly signal?: AbortSignal;
  /** Milliseconds until the call is given up with DEADLINE_EXCEEDED. Unary and client streams only. */
  readonly timeoutMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
};

type Call<M, Second> = M extends { requestStream: false; responseStream: false }
  ? (request: RequestOf<M>, second: Second) => Promise<ResponseOf<M>>
  : M extends { requestStream: false; responseStream: true }
    ? (request: RequestOf<M>, second: Second) => AsyncIterable<ResponseOf<M>>
    : M extends { requestStream: true; responseStream: false }
      ? (requests: AsyncIterable<RequestOf<M>>, second: Second) => Promise<ResponseOf<M>>
      : (requests: AsyncIterable<RequestOf<M>>, second: Second) => AsyncIterable<ResponseOf<M>>;

type OptionalSecond<F> = F extends (first: infer A, second: infer B) => infer R ? (first: A, second?: B) => R : never;

/** What a service writes: one function per method; a missing one does not compile. */
export type Implementation<S> = { readonly [K in keyof S]: Call<S[K], CallContext> };

/** A client of a service. A local service behaves like a remote one. Expected failures reject with a `Refusal`. */
export type ClientOf<S> = { readonly [K in keyof S]: OptionalSecond<Call<S[K], CallOptions>> };

/** A service and its implementation. */
export type BoundService = { readonly service: ServiceDefinition; readonly implementation: Readonly<Record<string, unknown>> };

/** Puts a service and its implementation together, checked against each other. */
export function bind<S extends ServiceDefinition>(service: S, implementation: Implementation<S>): BoundService {
  return { service, implementation: implementation };
}
