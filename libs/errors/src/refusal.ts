import { GRPC_CODES, HTTP_STATUS_OF } from './codes.ts';
import { REASONS, type Reason, type ReasonRow } from './reasons.ts';

/** Whatever varies in the sentence, for machines. */
export type RefusalMetadata = Readonly<Record<string, string>>;

/**
 * An expected no, with its reason. Pure code returns it as a value; flows throw it, and only `api` and the loops catch it.
 * It carries no stack: it is an answer, not an accident.
 */
export class Refusal extends Error {
  readonly reason: Reason;
  readonly metadata: RefusalMetadata;

  constructor(reason: Reason, metadata: RefusalMetadata = {}, options?: { cause?: unknown }) {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(sentenceOf(reason, metadata), options);
    Error.stackTraceLimit = limit;
    this.name = 'Refusal';
    this.reason = reason;
    this.metadata = metadata;
  }

  private get row(): ReasonRow {
    return REASONS[this.reason];
  }

  /** The number of its gRPC code. */
  get grpcCode(): number {
    return GRPC_CODES[this.row.code];
  }

  /** The name of its gRPC code. */
  get status(): string {
    return this.row.code;
  }

  get httpStatus(): number {
    return this.row.httpStatus ?? HTTP_STATUS_OF[this.row.code];
  }

  /** Whether the same request may succeed later. */
  get retry(): boolean {
    return this.row.retry;
  }
}

/** Makes a refusal; numbers in the metadata become text. */
export function refuse(reason: Reason, metadata: Readonly<Record<string, string | number | bigint>> = {}): Refusal {
  const texts: Record<string, string> = {};
  for (const [key, value] of Object.entries(metadata)) texts[key] = String(value);
  return new Refusal(reason, texts);
}

/** The refusal of one field: what it must be. */
export function invalidField(field: string, rule: string): Refusal {
  return refuse('INVALID_FIELD', { field, rule });
}

/** Throws what pure code returned if it is a refusal (ADR 8), and returns it otherwise. */
export function orThrow<T>(value: T | Refusal): T {
  if (isRefusal(value)) throw value;
  return value;
}

export function isRefusal(value: unknown): value is Refusal {
  return value instanceof Refusal;
}

function sentenceOf(reason: Reason, metadata: RefusalMetadata): string {
  return REASONS[reason].sentence.replace(/\{(\w+)\}/g, (_, key: string) => metadata[key] ?? '');
}
