/**
 * The position of a reader of a log: after a number of lines of one attempt. Each of its four kinds only grows: the platform's lines before the
 * function's own, the function's own by their sequence, signals, and the platform's lines after.
 */
export type LogPlace = {
  /** 0 before the first attempt. */
  readonly attempt: number;
  readonly before: number;
  readonly sequence: number;
  readonly signals: number;
  readonly after: number;
};

export const LOG_BEGIN: LogPlace = { attempt: 0, before: 0, sequence: 0, signals: 0, after: 0 };

/** The place before the first line of an attempt. */
export function beginOf(attempt: number): LogPlace {
  return { ...LOG_BEGIN, attempt };
}

export function writePlace({ attempt, before, sequence, signals, after }: LogPlace): string {
  return [attempt, before, sequence, signals, after].join('.');
}

/** Reads a place; empty is the beginning. undefined if it is none. */
export function readPlace(token: string): LogPlace | undefined {
  if (token === '') return LOG_BEGIN;
  const [, ...parts] = /^(\d{1,9})\.(\d{1,9})\.(\d{1,9})\.(\d{1,9})\.(\d{1,9})$/.exec(token) ?? [];
  if (parts.length === 0) return undefined;
  const [attempt = 0, before = 0, sequence = 0, signals = 0, after = 0] = parts.map(Number);
  return { attempt, before, sequence, signals, after };
}
