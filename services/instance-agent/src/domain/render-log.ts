import { LIMITS } from '@evenfall/event-model';

/** The end of a log as the caller of a synchronous call gets it: at most 4 KB, cut at a line where that is possible. */
export function tailOfLog(lines: readonly string[]): string {
  const text = Buffer.from(`${lines.join('\n')}\n`);
  if (text.length <= LIMITS.logTailBytes) return text.toString();
  const tail = text.subarray(text.length - LIMITS.logTailBytes);
  const lineStart = tail.indexOf(10) + 1;
  return tail.toString('utf8', lineStart < LIMITS.logTailBytes ? lineStart : 0);
}
