import { Any } from '@evenfall/contracts/google/protobuf/any';
import { ErrorInfo, RetryInfo } from '@evenfall/contracts/google/rpc/error_details';
import { Status } from '@evenfall/contracts/google/rpc/status';
import { Refusal } from '@evenfall/errors';
import { isReason } from './failures.ts';

/** Where refusals come from, in every ErrorInfo. */
export const ERROR_DOMAIN = 'evenfall';
/** The trailer that carries a google.rpc.Status (grpc/grpc, richer error model). */
export const DETAILS_TRAILER = 'grpc-status-details-bin';
const ERROR_INFO_URL = 'type.googleapis.com/google.rpc.ErrorInfo';
const RETRY_INFO_URL = 'type.googleapis.com/google.rpc.RetryInfo';

/** Encodes a google.rpc.Status with one google.rpc.ErrorInfo, and a google.rpc.RetryInfo where it is known when a retry can succeed. */
export function encodeStatus(refusal: Refusal): Buffer {
  const { reason, metadata } = refusal;
  const details = [anyOf(ERROR_INFO_URL, ErrorInfo.encode({ reason, domain: ERROR_DOMAIN, metadata: { ...metadata } }).finish())];
  const retryMs = Number(metadata['retry_after_ms'] ?? NaN);
  if (refusal.retry && Number.isSafeInteger(retryMs) && retryMs >= 0) {
    const retryDelay = { seconds: BigInt(Math.floor(retryMs / 1_000)), nanos: (retryMs % 1_000) * 1_000_000 };
    details.push(anyOf(RETRY_INFO_URL, RetryInfo.encode({ retryDelay }).finish()));
  }
  return Buffer.from(Status.encode({ code: refusal.grpcCode, message: refusal.message, details }).finish());
}

/** Reads the refusal out of a google.rpc.Status; undefined if its ErrorInfo has no reason of the platform, or for bytes that are no such message. */
export function decodeStatus(bytes: Uint8Array): Refusal | undefined {
  try {
    const detail = Status.decode(bytes).details.find(({ typeUrl }) => typeUrl === ERROR_INFO_URL);
    if (!detail) return undefined;
    const { reason, metadata } = ErrorInfo.decode(detail.value);
    return isReason(reason) ? new Refusal(reason, metadata) : undefined;
  } catch {
    return undefined; // a peer may send anything: the code of the call says then what failed
  }
}

function anyOf(typeUrl: string, value: Uint8Array): Any {
  return { typeUrl, value: Buffer.from(value) };
}
