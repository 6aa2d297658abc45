import * as grpc from '@grpc/grpc-js';
import { refuse, type Refusal } from '@evenfall/errors';
import type { Guard } from '@evenfall/request-guard';
import { boundCall, endStream, sessionOf } from './call-internals.ts';
import type { Connection } from './connections.ts';
import { type OnUnexpected, toRefusal } from './failures.ts';
import { statusOf } from './status-of.ts';
import { CALLER_CAPACITY_HEADER, CALLER_HEADER, callerOf } from './tls/caller.ts';

/** What a call says before its messages. */
export type CallHead = {
  /** "/package.Service/Method". */
  readonly path: string;
  /** Address of the caller, without its port. */
  readonly address: string;
  /** Who calls, by certificate; undefined without TLS. */
  readonly caller: string | undefined;
  header(name: string): string | undefined;
};

/** Bounds of one method. */
export type MessageBounds = {
  readonly maxBytes: number;
  /** How long each message may take to arrive whole, and a stream may stay without one. */
  readonly withinMs: number;
  /** Looks at the bytes of a message before they are decoded; answers why it is turned away. */
  readonly fault?: (bytes: Buffer) => Refusal | undefined;
};

export type Admission = {
  readonly guard?: Guard | undefined;
  readonly authorize?: ((head: CallHead) => void | Promise<void>) | undefined;
  /** How long the answer to a call that was turned away by `authorize` waits. */
  readonly delayMs?: ((head: CallHead, refusal: Refusal) => number) | undefined;
  readonly bounds?: ((path: string) => MessageBounds) | undefined;
  readonly onRefusal?: ((refusal: Refusal) => void) | undefined;
  readonly onUnexpected?: OnUnexpected | undefined;
  readonly connectionOf: (peer: string) => Connection | undefined;
};

/** Headers the guard looks at, of those that a call brings as metadata. */
const LOOKED_AT = ['origin', 'sec-fetch-site'] as const;
/** Asked by who looks after the machine, who has no key. */
const HEALTH = '/grpc.health.v1.Health/';
const LOOK_MS = 500;

/**
 * Judges every call by its head, those of reflection and health too: a message of a call that is turned away is not read, and its stream is
 * ended. Messages of the others are bounded by their method, and have to arrive.
 */
export function admitting(admission: Admission): { readonly interceptor: grpc.ServerInterceptor; stop(): void } {
  const late = lateness(admission);
  const interceptor: grpc.ServerInterceptor = (method, call) => {
    const start = (next: (listener: grpc.ServerListener) => void): void => {
      const expect = (): void => late.expect(call, method.path);
      const arrived = (): void => late.arrived(call);
      let isCancelled = false;
      next({
        onReceiveMetadata(metadata, pass) {
          const admit = (): void => {
            const bounds = admission.bounds?.(method.path);
            if (bounds) {
              if (!boundCall(call, bounds.maxBytes)) throw new Error('A call of grpc-js has no decoder to bound');
              expect();
            }
            pass(metadata);
          };
          const isAway = turnedAway(admission, method.path, call, metadata);
          // A caller that has left meanwhile is past waiting for.
          if (isAway instanceof Promise) void isAway.then((is) => !is && !isCancelled && admit());
          else if (!isAway) admit();
        },
        onReceiveMessage(message, pass) {
          if (method.requestStream) expect();
          else arrived();
          pass(message);
        },
        onReceiveHalfClose(pass) {
          arrived();
          pass();
        },
        onCancel() {
          isCancelled = true;
          arrived();
        },
      });
    };
    return new grpc.ServerInterceptingCall(call, { start });
  };
  return { interceptor, stop: late.stop };
}

type Call = Parameters<grpc.ServerInterceptor>[1];

/** Looks at the head; answers a call that does not pass, at once or after a while. Never rejects with a refusal. */
function turnedAway(admission: Admission, path: string, call: Call, metadata: grpc.Metadata): boolean | Promise<boolean> {
  const report = (refusal: Refusal): void => {
    admission.onRefusal?.(refusal);
    call.sendStatus(statusOf(refusal));
    endStream(call);
  };
  const strange = admission.guard?.({ method: 'POST', target: path, rawHeaders: headersOf(call.getHost(), metadata) });
  if (strange) {
    report(strange);
    return true;
  }
  if (!admission.authorize || path.startsWith(HEALTH)) return false;
  const peer = call.getPeer();
  const connection = admission.connectionOf(peer);
  const headOf = (caller: string | undefined): CallHead => ({
    path,
    caller,
    address: peer.slice(0, peer.lastIndexOf(':')),
    header(name) {
      const value = metadata.get(name)[0];
      return typeof value === 'string' ? value : undefined;
    },
  });
  metadata.remove(CALLER_HEADER);
  metadata.remove(CALLER_CAPACITY_HEADER);
  const passes = (): false => {
    if (connection) connection.isKnown = true;
    return false;
  };
  const fails = (error: unknown): true => {
    const refusal = toRefusal(error, path, admission.onUnexpected);
    const delayMs = admission.delayMs?.(headOf(undefined), refusal) ?? 0;
    // Who asks again before the answer does not wait for it.
    if (connection?.isHeld && refusal.status === 'UNAUTHENTICATED') connection.socket.destroy();
    else if (delayMs === 0) report(refusal);
    else hold(connection, delayMs, () => report(refusal));
    return true;
  };
  try {
    const caller = callerOf(sessionOf(call));
    if (caller) metadata.set(CALLER_HEADER, caller.identity);
    if (caller?.capacityMb !== undefined) metadata.set(CALLER_CAPACITY_HEADER, String(caller.capacityMb));
    const authorized = admission.authorize(headOf(caller?.identity));
    return authorized instanceof Promise ? authorized.then(passes, fails) : passes();
  } catch (error) {
    return fails(error);
  }
}

function hold(connection: Connection | undefined, delayMs: number, report: () => void): void {
  if (connection) connection.isHeld = true;
  setTimeout(() => {
    if (connection) connection.isHeld = false;
    report();
  }, delayMs).unref();
}

/** Keeps an eye on calls whose next message is to come. */
function lateness({ bounds, onRefusal }: Admission): {
  expect(call: Call, path: string): void;
  arrived(call: Call): void;
  stop(): void;
} {
  const waiting = new Map<Call, number>();
  if (!bounds) return { expect: () => undefined, arrived: () => undefined, stop: () => undefined };
  const timer = setInterval(() => {
    const nowMs = performance.now();
    for (const [call, untilMs] of waiting) {
      if (untilMs > nowMs) continue;
      waiting.delete(call);
      const refusal = refuse('DEADLINE_EXCEEDED');
      onRefusal?.(refusal);
      call.sendStatus(statusOf(refusal));
      endStream(call);
    }
  }, LOOK_MS);
  timer.unref();
  return {
    expect: (call, path) => void waiting.set(call, performance.now() + bounds(path).withinMs),
    arrived: (call) => void waiting.delete(call),
    stop: () => clearInterval(timer),
  };
}

/** The head of a call as that of an HTTP request. That its content type is gRPC's was checked when the stream was opened. */
function headersOf(authority: string, metadata: grpc.Metadata): string[] {
  const headers = ['host', authority, 'content-type', 'application/grpc'];
  for (const host of metadata.get('host')) if (host !== authority) headers.push('host', String(host));
  for (const name of LOOKED_AT) for (const value of metadata.get(name)) headers.push(name, String(value));
  return headers;
}
