import * as grpc from '@grpc/grpc-js';
import type { Refusal } from '@evenfall/errors';
import type { Guard } from '@evenfall/request-guard';
import { statusOf } from './status-of.ts';

/** Headers the guard looks at, of those that a call brings as metadata. */
const LOOKED_AT = ['origin', 'sec-fetch-site'] as const;

/** Asks the guard about every call, those of reflection and health too, before any message is read. */
export function guarding(guard: Guard, onRefusal: ((refusal: Refusal) => void) | undefined): grpc.ServerInterceptor {
  return (method, call) =>
    new grpc.ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata(metadata, pass) {
            const refusal = guard({ method: 'POST', target: method.path, rawHeaders: headersOf(call.getHost(), metadata) });
            if (!refusal) {
              pass(metadata);
              return;
            }
            onRefusal?.(refusal);
            call.sendStatus(statusOf(refusal));
          },
        }),
    });
}

/** The head of a call as that of an HTTP request. That its content type is gRPC's was checked when the stream was opened. */
function headersOf(authority: string, metadata: grpc.Metadata): string[] {
  const headers = ['host', authority, 'content-type', 'application/grpc'];
  for (const host of metadata.get('host')) if (host !== authority) headers.push('host', String(host));
  for (const name of LOOKED_AT) for (const value of metadata.get(name)) headers.push(name, String(value));
  return headers;
}
