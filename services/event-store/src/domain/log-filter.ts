import { createHash } from 'node:crypto';
import { type LogFilter, LogFilter as Codec, type LogLine } from '@evenfall/contracts/v1/log_service';

/** Whether a line is one of those that are asked for. */
export function passes(line: LogLine, filter: LogFilter | undefined): boolean {
  if (!filter) return true;
  if (filter.attempt !== 0 && line.attempt !== filter.attempt) return false;
  if (filter.instanceId !== '' && line.instanceId !== filter.instanceId) return false;
  if (filter.streams.length > 0 && !filter.streams.includes(line.stream)) return false;
  return filter.contains === '' || line.text.includes(filter.contains);
}

/** Writes a token: the number of lines before the page. A log only grows at its end, so that many always come before it. */
export function writeLogToken(skip: number, filter: LogFilter | undefined): string {
  return Buffer.from(`log:${skip}:${hashOf(filter)}`).toString('base64url');
}

/** Reads a token; undefined if it is none, or one of another filter. */
export function readLogToken(token: string, filter: LogFilter | undefined): number | undefined {
  const [, skip, hash] = /^log:(\d{1,9}):([\w-]*)$/.exec(Buffer.from(token, 'base64url').toString('utf8')) ?? [];
  return skip === undefined || hash !== hashOf(filter) ? undefined : Number(skip);
}

function hashOf(filter: LogFilter | undefined): string {
  if (!filter) return '';
  return createHash('sha256').update(Codec.encode(filter).finish()).digest('base64url').slice(0, 12);
}
