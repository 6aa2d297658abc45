import { isatty } from 'node:tty';
import { pino } from 'pino';
import { visible } from '@evenfall/json-text';
import { HEAD, lineOf } from './log-line.ts';

/** What a line says beside its message; keys are the words of the field, in snake_case. */
export type LogFields = Readonly<Record<string, string | number | boolean | bigint | undefined>> & {
  readonly [K in (typeof HEAD)[number]]?: never;
};
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
/** `auto` is `text` on a terminal and `json` elsewhere. */
export type LogFormat = 'auto' | 'json' | 'text';

/** The operator's log: one line per happening, to stderr. */
export type Log = {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  /** `error` is undefined where the fields say everything. */
  error(message: string, error: unknown, fields?: LogFields): void;
};

export type LogOptions = {
  /** Least important level that is written. Default `info`. */
  readonly level?: LogLevel;
  /** Default `auto`. */
  readonly format?: LogFormat;
  /** Where lines go, each with its line end. Default stderr. */
  readonly write?: (line: string) => void;
};

const STDERR = 2;

/** A log of one service: JSON lines with `level`, `time`, `service`, `message` and the fields, or the same as text for a terminal. */
export function createLog(service: string, { level = 'info', format = 'auto', write = toStderr }: LogOptions = {}): Log {
  const isText = format === 'text' || (format === 'auto' && isatty(STDERR));
  const put = (line: string): void => write(`${visible(isText ? lineOf(line) : line.trimEnd())}\n`); // fields may hold text of functions and callers
  const logger = pino(
    {
      level,
      messageKey: 'message',
      base: { service },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: put },
  );
  return {
    debug: (message, fields = {}) => logger.debug(fields, message),
    info: (message, fields = {}) => logger.info(fields, message),
    warn: (message, fields = {}) => logger.warn(fields, message),
    error(message, error, fields = {}) {
      logger.error({ ...fields, error: error === undefined ? undefined : describe(error) }, message);
    },
  };
}

export const silentLog: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

function toStderr(line: string): void {
  process.stderr.write(line);
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : ` caused by ${describe(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
