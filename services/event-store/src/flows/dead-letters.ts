import type { DeadLetter, ListDeadLettersRequest, ListDeadLettersResponse } from '@evenfall/contracts/v1/event_service';
import { refuse } from '@evenfall/errors';
import { PAGE_SIZES } from '@evenfall/function-model';
import { pageSizeOf } from '@evenfall/paging';
import { isUuid } from '@evenfall/time';
import { readPageToken, writePageToken } from '../domain/page-token.ts';
import type { DeadLetterTable } from '../ports.ts';
import type { ReadBarrier } from './read-barrier.ts';

type Ports = { readonly deadLetters: DeadLetterTable; readonly barrier: ReadBarrier };

/** Gets one dead letter, everything recorded before the call taken into account. */
export async function getDeadLetter({ deadLetters, barrier }: Ports, id: string): Promise<DeadLetter> {
  if (!isUuid(id)) throw refuse('DEAD_LETTER_NOT_FOUND', { event_id: id.slice(0, 64) });
  await barrier.caughtUp(); // one that is there may have been redriven a moment ago
  const found = await deadLetters.get(id);
  if (!found) throw refuse('DEAD_LETTER_NOT_FOUND', { event_id: id });
  return found;
}

/** Lists dead letters of one function, newest first. */
export async function listDeadLetters({ deadLetters, barrier }: Ports, request: ListDeadLettersRequest): Promise<ListDeadLettersResponse> {
  const { namespace, function: fn, pageToken } = request;
  const size = pageSizeOf(request.pageSize, PAGE_SIZES.deadLetters);
  const filter = `dead letters of ${namespace}/${fn}`;
  const before = pageToken === '' ? undefined : readPageToken(filter, pageToken);
  if (pageToken !== '' && before?.timeMs == null) throw refuse('INVALID_PAGE_TOKEN');
  await barrier.caughtUp();
  const { letters, hasMore } = await deadLetters.list(namespace, fn, before && { timeMs: before.timeMs ?? 0, id: before.id }, size);
  const last = hasMore ? letters[letters.length - 1]?.event : undefined;
  return {
    deadLetters: [...letters],
    nextPageToken: last ? writePageToken(filter, { timeMs: last.endTime?.getTime() ?? null, id: last.id }) : '',
  };
}
