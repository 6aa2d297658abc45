import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import { Refusal } from '@evenfall/errors';
import { isReason } from './failures.ts';

/** Where refusals come from, in every ErrorInfo. */
export const ERROR_DOMAIN = 'evenfall';
/** The trailer that carries a google.rpc.Status (grpc/grpc, richer error model). */
export const DETAILS_TRAILER = 'grpc-status-details-bin';
const ERROR_INFO_URL = 'type.googleapis.com/google.rpc.ErrorInfo';
const RETRY_INFO_URL = 'type.googleapis.com/google.rpc.RetryInfo';

/**
 * Encodes a google.rpc.Status with one google.rpc.ErrorInfo, and a google.rpc.RetryInfo where it is known when to come again. Few small messages: not worth
 * a second set of generated code.
 */
export function encodeStatus(refusal: Refusal): Buffer {
  const info = new BinaryWriter();
  info.uint32(10).string(refusal.reason).uint32(18).string(ERROR_DOMAIN);
  for (const [key, value] of Object.entries(refusal.metadata)) {
    info.uint32(26).fork().uint32(10).string(key).uint32(18).string(value).join();
  }
  const status = new BinaryWriter();
  status.uint32(8).int32(refusal.grpcCode).uint32(18).string(refusal.message);
  status.uint32(26).fork().uint32(10).string(ERROR_INFO_URL).uint32(18).bytes(info.finish()).join();
  const retryMs = Number(refusal.metadata['retry_after_ms'] ?? NaN);
  if (refusal.retry && Number.isSafeInteger(retryMs) && retryMs >= 0) {
    const delay = new BinaryWriter()
      .uint32(8)
      .int64(Math.floor(retryMs / 1_000))
      .uint32(16)
      .int32((retryMs % 1_000) * 1_000_000);
    const retry = new BinaryWriter().uint32(10).bytes(delay.finish());
    status.uint32(26).fork().uint32(10).string(RETRY_INFO_URL).uint32(18).bytes(retry.finish()).join();
  }
  return Buffer.from(status.finish());
}

/** Reads the refusal out of a google.rpc.Status; undefined if it holds none of ours. */
export function decodeStatus(bytes: Uint8Array): Refusal | undefined {
  const detail = fieldOf(bytes, 3);
  const info = detail && fieldOf(detail, 2);
  if (!info) return undefined;
  let reason = '';
  const metadata: Record<string, string> = {};
  const reader = new BinaryReader(info);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === 10) reason = reader.string();
    else if (tag === 26) {
      const entry = reader.bytes();
      metadata[textOf(fieldOf(entry, 1))] = textOf(fieldOf(entry, 2));
    } else reader.skip(tag & 7, tag >>> 3);
  }
  return isReason(reason) ? new Refusal(reason, metadata) : undefined;
}

/** The first length-delimited field of a message with this number. */
function fieldOf(bytes: Uint8Array, number: number): Uint8Array | undefined {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === ((number << 3) | 2)) return reader.bytes();
    reader.skip(tag & 7, tag >>> 3);
  }
  return undefined;
}

function textOf(bytes: Uint8Array | undefined): string {
  return bytes ? Buffer.from(bytes).toString('utf8') : '';
}
