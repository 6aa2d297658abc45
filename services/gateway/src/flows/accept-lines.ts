import { isRefusal, refuse, Refusal, type Reason } from '@evenfall/errors';
import type { EventSubmission } from '@evenfall/contracts/v1/event_service';
import { MAX_BATCH_EVENTS } from '../domain/batch-limits.ts';
import { type EventLine, lineReader } from '../domain/event-lines.ts';
import type { Caller, Gateway } from '../ports.ts';
import { batchCreateEvents } from './batch-create-events.ts';
import { runnableFunction } from './resolve.ts';

/** The answer to one line: the id of its event, or why there is none. */
export type LineAnswer = { readonly id: string } | { readonly refusal: Refusal };

/** Bytes of payloads that are accepted together. */
const GROUP_BYTES = 1024 * 1024;

type Named = { readonly namespace: string; readonly function: string; readonly qualifier: string };

/**
 * Accepts events line by line, as they come, and answers for each in order. Those that arrive together are accepted together; one that is refused does
 * not affect its neighbours. Refusals before the first line: as for one event.
 */
export async function acceptLines(
  gateway: Gateway,
  caller: Caller,
  named: Named,
  chunks: AsyncIterable<Buffer>,
): Promise<AsyncGenerator<LineAnswer[]>> {
  await runnableFunction(gateway, named);
  const reader = lineReader(gateway.limits.maxPayloadBytes);
  return (async function* () {
    const accept = (group: readonly EventLine[]): Promise<LineAnswer[]> => {
      // A caller whose key has expired submits nothing more.
      if (caller.signal.aborted) throw refuse('UNAUTHENTICATED', { detail: 'the key is not valid any more' });
      return accepted(gateway, caller, named, group);
    };
    for await (const chunk of chunks) for (const group of groupsOf(reader.read(chunk))) yield await accept(group);
    for (const group of groupsOf(reader.end())) yield await accept(group);
  })();
}

function* groupsOf(lines: readonly EventLine[]): Generator<readonly EventLine[]> {
  let group: EventLine[] = [];
  let bytes = 0;
  for (const line of lines) {
    const size = isRefusal(line) ? 0 : line.payload.length;
    if (group.length === MAX_BATCH_EVENTS || (group.length > 0 && bytes + size > GROUP_BYTES)) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(line);
    bytes += size;
  }
  if (group.length > 0) yield group;
}

async function accepted(gateway: Gateway, caller: Caller, named: Named, lines: readonly EventLine[]): Promise<LineAnswer[]> {
  const good = lines.filter((line): line is EventSubmission => !isRefusal(line));
  const answers = good.length === 0 ? [] : await together(gateway, caller, named, good);
  let next = 0;
  return lines.map((line) => (isRefusal(line) ? { refusal: line } : (answers[next++] ?? { refusal: new Refusal('INTERNAL') })));
}

/** Accepts some events; if one of them is refused, the others without it. */
async function together(gateway: Gateway, caller: Caller, named: Named, submissions: EventSubmission[]): Promise<LineAnswer[]> {
  try {
    const { eventIds, refused } = await batchCreateEvents(gateway, caller, { ...named, submissions }, { areJson: true });
    const answers: LineAnswer[] = eventIds.map((id) => ({ id }));
    for (const { index, reason, metadata } of refused) answers[index] = { refusal: new Refusal(reason as Reason, metadata) }; // a flow of this service made it
    return answers;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (QUOTAS.has(error.reason)) return withinQuota(gateway, caller, named, submissions, error);
    // What one of them is: the others are tried without it. What holds for all of them is the answer to each.
    const isOfOne = 'index' in error.metadata && submissions.length > 1;
    if (!isOfOne) return submissions.map(() => ({ refusal: error }));
    const at = Number(error.metadata['index']);
    const parts = [submissions.slice(0, at), [submissions[at] as EventSubmission], submissions.slice(at + 1)]; // it is one of them
    const answers: LineAnswer[] = [];
    for (const part of parts) if (part.length > 0) answers.push(...(await together(gateway, caller, named, part)));
    return answers;
  }
}

const QUOTAS: ReadonlySet<Reason> = new Set(['RATE_LIMITED', 'BURST_EXCEEDED', 'TOO_MANY_QUEUED_EVENTS']);

/** Of events that a quota does not allow all of: accepts those it does, the first ones, and answers the refusal for each of the others. */
async function withinQuota(
  gateway: Gateway,
  caller: Caller,
  named: Named,
  submissions: EventSubmission[],
  refusal: Refusal,
): Promise<LineAnswer[]> {
  const available = Number(refusal.metadata['available']);
  // Together they are too many; one by one they may come later.
  const comesLater = refusal.reason === 'BURST_EXCEEDED' && 'retry_after_ms' in refusal.metadata;
  const ofEach = comesLater ? new Refusal('RATE_LIMITED', { ...refusal.metadata, available: '0' }) : refusal;
  if (!(available > 0 && available < submissions.length)) return submissions.map(() => ({ refusal: ofEach }));
  const taken = await together(gateway, caller, named, submissions.slice(0, available));
  return [...taken, ...submissions.slice(available).map(() => ({ refusal: ofEach }))];
}
