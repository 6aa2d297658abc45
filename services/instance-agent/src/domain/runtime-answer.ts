import { isUtf8 } from 'node:buffer';
import { cutMiddle, cutText, LIMITS } from '@evenfall/event-model';
import { compactBytes } from '@evenfall/json-text';

/** The largest result of a function (SCF: 6 MB); more is 407. */
export const MAX_RESULT_BYTES = 6 * 1024 * 1024;
/** What JSON may have between its parts. */
const BLANKS = ['\n', '\r', ' ', '\t'] as const;
const NULL: Buffer = Buffer.from('null');

/** What a function failed with, as JSON of SCF's form. */
export type RuntimeError = { readonly message: string; readonly type?: string | undefined; readonly stack?: unknown };

/**
 * The result of a function that answers with bytes: JSON loses the blanks between its parts and keeps everything else, numbers as they are written;
 * anything else becomes a JSON string, nothing at all is null. A text with its size where it is too large. Bytes that are no UTF-8 are read as if they were, with
 * replacement characters. Hot: a result is parsed once here, and never again on its way.
 */
export function resultOf(body: Buffer): Buffer | string {
  if (body.length > MAX_RESULT_BYTES) return tooLargeMessage(body.length);
  if (body.length === 0) return NULL;
  const text = body.toString('utf8');
  if (isUtf8(body) && isJson(text)) return BLANKS.some((blank) => body.includes(blank)) ? compactBytes(body) : body;
  const quoted = Buffer.from(JSON.stringify(text));
  return quoted.length > MAX_RESULT_BYTES ? tooLargeMessage(body.length, quoted.length) : quoted;
}

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The message for a result that is too large; one that is no JSON counts as the JSON string that it becomes. */
export function tooLargeMessage(bytes: number, quotedBytes?: number): string {
  const size =
    quotedBytes === undefined ? `${bytes} bytes` : `${quotedBytes} bytes as a JSON string, which its ${bytes} bytes of text become`;
  return `body size is too long: ${size}, at most ${MAX_RESULT_BYTES}`;
}

/** The error JSON of a function that failed with an error of its own. */
export function failureJson(requestId: string, statusCode: number, { message, type, stack }: RuntimeError): Buffer {
  const stackTrace = stackText(stack);
  return Buffer.from(
    JSON.stringify({
      errorCode: -1,
      errorMessage: cutText(message, LIMITS.errorTextBytes),
      ...(type === undefined || type === '' ? {} : { errorType: cutText(type, LIMITS.nameBytes) }),
      requestId,
      ...(stackTrace === '' ? {} : { stackTrace }),
      statusCode,
    }),
  );
}

/**
 * Reads an error as runtimes post it: `{errorMessage, errorType, stackTrace | trace}` (the Lambda and FC clients), or any text. `type` is what a
 * header said of it.
 */
export function readRuntimeError(body: Buffer, type = ''): RuntimeError {
  const text = body.toString('utf8');
  const parsed = parseObject(text);
  if (!parsed) return { message: text === '' ? 'user code exception caught' : text, type };
  const { errorMessage, errorType, stackTrace, trace } = parsed;
  return {
    message: typeof errorMessage === 'string' ? errorMessage : text,
    type: typeof errorType === 'string' && errorType !== '' ? errorType : type,
    stack: stackTrace ?? trace,
  };
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined; // just checked
  } catch {
    return undefined;
  }
}

/** A stack is text, a list of lines, or a list of frames `{path, line, label}` (the Go clients). */
function stackText(stack: unknown): string {
  if (typeof stack === 'string') return cutMiddle(stack, LIMITS.stackBytes);
  if (!Array.isArray(stack)) return '';
  return cutMiddle(
    stack
      .slice(0, 200)
      .map((frame: unknown) => {
        if (typeof frame === 'string') return frame.trimEnd();
        if (typeof frame !== 'object' || frame === null) return '';
        const { path, line, label } = frame as Record<string, unknown>; // each is checked before it is shown
        return `${wordOf(label)} (${wordOf(path)}:${wordOf(line)})`;
      })
      .join('\n'),
    LIMITS.stackBytes,
  );
}

function wordOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '?';
}
