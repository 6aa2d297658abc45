import { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';

/** Parts of a call of grpc-js that it has no public name for. Its version is pinned; `admission.int.test.ts` fails where they are not there any more. */
type Internals = {
  readonly stream?: ServerHttp2Stream;
  maxReceiveMessageSize?: number;
  readonly decoder?: { maxReadMessageLength?: number };
  receivedHalfClose?: boolean;
  sendStatus(status: object): void;
};

/**
 * Bounds the bytes of each message of one call: a message over it is refused once its length is read, before it is held. Whatever a call is
 * answered with before its caller has said everything ends its stream, so that the rest is not sent. False if that cannot be done.
 */
export function boundCall(call: object, maxBytes: number): boolean {
  const inner = call as Internals; // looked at before it is used
  const { decoder, stream } = inner;
  if (typeof decoder?.maxReadMessageLength !== 'number' || typeof inner.maxReceiveMessageSize !== 'number' || !stream) return false;
  decoder.maxReadMessageLength = maxBytes;
  inner.maxReceiveMessageSize = maxBytes; // of a compressed one what comes out
  const send = inner.sendStatus.bind(call);
  inner.sendStatus = (status) => {
    const isWhole = inner.receivedHalfClose === true || stream.headersSent;
    send(status);
    if (!isWhole) endStream(call);
  };
  return true;
}

/** Ends the stream of a call once its status is sent: its caller is to send no more. */
export function endStream(call: object): void {
  (call as Internals).stream?.close(constants.NGHTTP2_NO_ERROR);
}

/** The connection that a call came by. Its socket has the certificates of TLS, and is a proxy that hides what belongs to HTTP/2. */
export function sessionOf(call: object): ServerHttp2Session | undefined {
  return (call as Internals).stream?.session as ServerHttp2Session | undefined; // a server's, since it is a server's call
}

/**
 * Whether a caller's stream was reset, where it looks as if it had ended: node shows an end of what is read also for a reset, and grpc-js takes it for that of
 * the caller. Without a stream to look at it was.
 */
export function wasReset(call: object): boolean {
  let inner: Nested | undefined = call;
  while (inner && !inner.stream) inner = inner.call ?? inner.nextCall;
  const stream = inner?.stream;
  return (
    stream === undefined ||
    stream.aborted ||
    stream.destroyed ||
    (stream.rstCode ?? constants.NGHTTP2_NO_ERROR) !== constants.NGHTTP2_NO_ERROR
  );
}

/** A call as handlers have it, then those of interceptors one in the other, then the one that has the stream. */
type Nested = { readonly call?: Nested; readonly nextCall?: Nested; readonly stream?: ServerHttp2Stream };
