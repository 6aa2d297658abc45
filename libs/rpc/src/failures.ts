import { GRPC_CODES, isRefusal, REASONS, Refusal, type Reason } from '@evenfall/errors';

/** Called with an unexpected failure and the method it happened in. */
export type OnUnexpected = (error: unknown, method: string) => void;

const printUnexpected: OnUnexpected = (error, method) => {
  process.stderr.write(`${method} failed unexpectedly: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
};

/** What a caller sees of a failure inside a handler: a refusal as it is, anything else as INTERNAL. */
export function toRefusal(error: unknown, method: string, onUnexpected: OnUnexpected = printUnexpected): Refusal {
  if (isRefusal(error)) return error;
  onUnexpected(error, method);
  return new Refusal('INTERNAL', {}, { cause: error });
}

/** The reason behind a bare gRPC code that came without one: from the runtime itself, or a stranger. */
export function refusalOfCode(code: number, detail: string): Refusal {
  if (code === GRPC_CODES.DEADLINE_EXCEEDED) return new Refusal('DEADLINE_EXCEEDED');
  if (code === GRPC_CODES.CANCELLED) return new Refusal('CANCELLED');
  if (code === GRPC_CODES.UNAUTHENTICATED) return new Refusal('UNAUTHENTICATED', { detail });
  if (code === GRPC_CODES.UNIMPLEMENTED) return new Refusal('UNIMPLEMENTED', { detail });
  if (code === GRPC_CODES.UNAVAILABLE) return new Refusal('SERVICE_UNAVAILABLE', { detail });
  return new Refusal('INTERNAL', {}, { cause: new Error(detail) });
}

export function isReason(text: string): text is Reason {
  return Object.hasOwn(REASONS, text);
}
