import type { MessageBounds } from '@evenfall/rpc';
import { shapeFault } from './message-shape.ts';

const MIB = 1024 * 1024;
/** Of a message without a payload, a batch or code. */
const PLAIN_BYTES = 256 * 1024;
/** Around a payload or a package: names, keys, settings. */
const BESIDE_BYTES = 256 * 1024;
const CODE_BYTES = 50 * MIB;
/** Of a package that comes in pieces. */
const PIECE_BYTES = MIB;
const BATCH_BYTES = 32 * MIB;
/** A package over a slow line. */
const LARGE_WITHIN_MS = 180_000;
const WITHIN_MS = 20_000;
/** Between the messages of a caller's stream. */
const STREAM_WITHIN_MS = 60_000;

/**
 * What each method's messages are bounded by: large ones only where code or a batch comes in. A payload that is a little too large is refused by its own
 * name; one far beyond that is not read.
 */
export function messageBounds(limits: {
  readonly maxPayloadBytes: number;
  readonly maxSyncPayloadBytes: number;
}): (path: string) => MessageBounds {
  const plain: MessageBounds = { maxBytes: PLAIN_BYTES, withinMs: WITHIN_MS };
  const code: MessageBounds = { maxBytes: CODE_BYTES + BESIDE_BYTES, withinMs: LARGE_WITHIN_MS };
  const batch = (withinMs: number): MessageBounds => ({ maxBytes: BATCH_BYTES + 2 * MIB, withinMs });
  const call: MessageBounds = { maxBytes: limits.maxSyncPayloadBytes + MIB, withinMs: LARGE_WITHIN_MS };
  const bounds = new Map<string, MessageBounds>([
    ['/evenfall.v1.FunctionService/CreateFunction', code],
    ['/evenfall.v1.FunctionService/UpdateFunctionCode', code],
    ['/evenfall.v1.FunctionService/StreamUpdateFunctionCode', { maxBytes: PIECE_BYTES + BESIDE_BYTES, withinMs: STREAM_WITHIN_MS }],
    ['/evenfall.v1.EventService/CreateEvent', { maxBytes: limits.maxPayloadBytes + MIB, withinMs: LARGE_WITHIN_MS }],
    ['/evenfall.v1.EventService/BatchCreateEvents', batch(LARGE_WITHIN_MS)],
    ['/evenfall.v1.EventService/StreamCreateEvents', batch(STREAM_WITHIN_MS)],
    ['/evenfall.v1.InvocationService/InvokeFunction', call],
    ['/evenfall.v1.InvocationService/StreamInvokeFunction', call],
    ['/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', { ...plain, withinMs: STREAM_WITHIN_MS }],
    ['/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo', { ...plain, withinMs: STREAM_WITHIN_MS }],
  ]);
  const whole = new Map<string, MessageBounds>(); // asked for with every message
  return (path) => {
    let found = whole.get(path);
    if (!found) whole.set(path, (found = { ...(bounds.get(path) ?? plain), fault: (bytes) => shapeFault(path, bytes) }));
    return found;
  };
}
