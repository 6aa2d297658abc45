import { visible } from '@evenfall/json-text';

/** What a line says beside its sentence; keys are the words of the field, in snake_case. */
export type LogFields = Readonly<Record<string, string | number | boolean | bigint | undefined>>;
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Writes the operator's log: one line per happening, to stderr. */
export type Log = {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  /** `error` is undefined where there is nothing to say beside the fields. */
  error(message: string, error: unknown, fields?: LogFields): void;
};

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** A log of one service: `time level service message key=value …`. */
export function createLog(
  service: string,
  level: LogLevel = 'info',
  write: (line: string) => void = (line) => process.stderr.write(line),
): Log {
  const put = (at: LogLevel, message: string, fields: LogFields): void => {
    if (RANK[at] < RANK[level]) return;
    let line = `${new Date().toISOString()} ${at} ${service} ${message}`;
    for (const [key, value] of Object.entries(fields)) if (value !== undefined) line += ` ${key}=${quote(String(value))}`;
    write(`${visible(line)}\n`); // it may say what a function or a caller said
  };
  return {
    debug: (message, fields = {}) => put('debug', message, fields),
    info: (message, fields = {}) => put('info', message, fields),
    warn: (message, fields = {}) => put('warn', message, fields),
    error: (message, error, fields = {}) => put('error', message, { ...fields, error: error === undefined ? undefined : describe(error) }),
  };
}

export const silentLog: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

function quote(text: string): string {
  return /^[\w.:/@$+-]+$/.test(text) ? text : JSON.stringify(text);
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : ` caused by ${describe(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
