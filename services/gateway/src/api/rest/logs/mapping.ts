import { type LogFilter, type LogLine, LogLine_Stream } from '@evenfall/contracts/v1/log_service';
import { nameOf, valueOf } from '../json/enum-names.ts';
import { always } from '../json/values.ts';
import type { LogLineBody, LogQueryValues } from './schema.ts';

export function lineJson(line: LogLine): LogLineBody {
  return {
    time: always(line.time),
    stream: always(nameOf(LogLine_Stream, line.stream)),
    attempt: line.attempt,
    instance_id: line.instanceId,
    text: line.text,
  };
}

/** The filter that a query describes; undefined if it has none. */
export function filterFrom({ attempt, instance_id: instanceId, contains, stream }: LogQueryValues): LogFilter | undefined {
  if (attempt === undefined && instanceId === undefined && contains === undefined && stream === undefined) return undefined;
  const streams = (stream ?? []).map((name) => valueOf(LogLine_Stream, name));
  return { attempt: attempt ?? 0, instanceId: instanceId ?? '', contains: contains ?? '', streams };
}
