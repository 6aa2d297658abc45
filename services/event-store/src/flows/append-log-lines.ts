import type { AppendLogLinesRequest, StoredLogLine } from '@evenfall/contracts/event_store/v1/event_store_service';
import type { GrantChecker } from '@evenfall/grants';
import type { Counters, Log, Repeats } from '@evenfall/telemetry';
import type { LineBudgets, LinesOf, Used } from '../domain/line-budgets.ts';
import type { Watchers } from '../domain/watchers.ts';
import type { LogTable, Partitions } from '../ports.ts';
import { grantedLines } from './granted-lines.ts';

export type LinePorts = {
  readonly logs: LogTable;
  readonly partitions: Partitions;
  readonly watchers: Watchers;
  /** How long lines are kept. */
  readonly retentionMs: number;
  readonly grants: GrantChecker;
  readonly budgets: LineBudgets;
  readonly log: Log;
  /** By agent. */
  readonly refusedRepeats: Repeats;
  readonly counters: Counters<'log_lines_refused_total'>;
};

/** An agent's clock that is ahead by more is taken for wrong. */
const AHEAD_MS = 3_600_000;

/**
 * Stores lines and wakes those who follow their events. Dropped are lines past the retention, those that are not their agent's to say, and those of an attempt
 * that has as many as are stored: it answers how many the last two were. One from the future is taken as of now: its partition would outlive all others.
 */
export async function appendLogLines(ports: LinePorts, request: AppendLogLinesRequest): Promise<{ refusedCount: number }> {
  const granted = await grantedLines(ports.grants, request);
  const notGranted = request.lines.length - granted.length;
  const nowMs = Date.now();
  const good: StoredLogLine[] = [];
  for (const one of granted) {
    const timeMs = one.line?.time?.getTime() ?? NaN;
    if (!one.line || !(timeMs >= nowMs - ports.retentionMs)) continue; // no time either
    good.push(timeMs > nowMs + AHEAD_MS ? { ...one, line: { ...one.line, time: new Date(nowMs) } } : one);
  }
  const within = await reserved(ports, good);
  const refusedCount = notGranted + good.length - within.length;
  if (refusedCount > 0) noteRefused(ports, request.agentId, refusedCount);
  if (within.length === 0) return { refusedCount };
  let stored: readonly (LinesOf & Used)[] = [];
  try {
    await ports.partitions.ensure(within.map((line) => line.line?.time?.getTime() ?? 0));
    stored = await ports.logs.append(within);
  } finally {
    releaseNotStored(ports.budgets, within, stored);
  }
  for (const id of new Set(within.map((line) => line.eventId))) ports.watchers.notify(id);
  return { refusedCount };
}

/**
 * The lines that there is room for. Of an attempt that is not known here, some may be stored already, whatever number its first line has: another replica
 * stored them, or this one before it started. One query for a batch asks for all of them.
 */
async function reserved({ budgets, logs }: LinePorts, lines: readonly StoredLogLine[]): Promise<StoredLogLine[]> {
  const unknown = new Map<string, LinesOf>();
  for (const one of lines) {
    const of = linesOf(one);
    if (budgets.isUnknown(of)) unknown.set(JSON.stringify(of), of);
  }
  if (unknown.size > 0) for (const one of await logs.used([...unknown.values()])) budgets.set(one, one);
  return lines.filter((one) => budgets.reserve(linesOf(one), textOf(one)));
}

/** What was there already, and what could not be stored, takes no room. */
function releaseNotStored(budgets: LineBudgets, reservedLines: readonly StoredLogLine[], stored: readonly (LinesOf & Used)[]): void {
  const left = new Map<string, { readonly of: LinesOf; lines: number; text: number }>();
  const add = (of: LinesOf, lines: number, text: number): void => {
    const name = `${of.eventId.toLowerCase()}/${of.attempt}`;
    const entry = left.get(name);
    if (!entry) left.set(name, { of, lines, text });
    else {
      entry.lines += lines;
      entry.text += text;
    }
  };
  for (const one of reservedLines) add(linesOf(one), 1, textOf(one));
  for (const one of stored) add(one, -one.lines, -one.text);
  for (const { of, lines, text } of left.values()) budgets.release(of, { lines, text });
}

function linesOf({ eventId, line }: StoredLogLine): LinesOf {
  return { eventId, attempt: line?.attempt ?? 0 };
}

function textOf({ line }: StoredLogLine): number {
  return line?.text.length ?? 0;
}

function noteRefused({ counters, log, refusedRepeats }: LinePorts, agentId: string, lines: number): void {
  counters.log_lines_refused_total += lines;
  const count = refusedRepeats.note(agentId);
  if (count !== undefined) log.warn('an agent sent log lines that it may not store', { agent_id: agentId, lines, count });
}
