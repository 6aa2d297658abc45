import * as grpc from '@grpc/grpc-js';
import type { Refusal } from '@evenfall/errors';
import { DETAILS_TRAILER, encodeStatus } from './error-info.ts';

/** A refusal as the status of a call. */
export function statusOf(refusal: Refusal): grpc.StatusObject & { name: string; message: string } {
  const metadata = new grpc.Metadata();
  metadata.set(DETAILS_TRAILER, encodeStatus(refusal));
  metadata.set('grpc-retry-pushback-ms', '-1'); // the call arrived: the channel retries only calls that never did
  return { name: 'Refusal', message: refusal.message, code: refusal.grpcCode, details: refusal.message, metadata };
}
