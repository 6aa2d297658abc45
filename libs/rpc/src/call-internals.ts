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
