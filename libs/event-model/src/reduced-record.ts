import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import type { AttemptEnded } from '@evenfall/contracts/log/v1/record';
import { boundEnded, boundStarted } from './bound-ended.ts';
import { cutText } from './cut-text.ts';

const NOTHING = Buffer.alloc(0);
const WHY_BYTES = 512;

/**
 * What is left of a record that cannot be written, or not be folded: what the event needs to go on, and a text that says what is missing.
 * An end keeps its outcome, code and state, so that its event is retried or ends as it would have; its result, or its error, is replaced by
 * "[not recorded: …]". Undefined where nothing can be left out.
 */
export function reducedRecord(record: EventRecord, why: string): EventRecord | undefined {
  const { change } = record;
  const time = record.time && Number.isNaN(record.time.getTime()) ? undefined : record.time;
  const made = (reduced: EventRecord['change']): EventRecord => ({ ...record, time, change: reduced });
  switch (change?.$case) {
    case 'attemptStarted':
      return made({ $case: 'attemptStarted', value: { ...boundStarted(change.value), coldStartDetail: undefined } });
    case 'attemptEnded':
      return made({ $case: 'attemptEnded', value: reducedEnd(change.value, `[not recorded: ${cutText(why, WHY_BYTES)}]`) });
    case 'signalSent':
      return made({ $case: 'signalSent', value: { policy: undefined, step: undefined, cause: change.value.cause } });
    case 'terminationRequested':
      return made({ $case: 'terminationRequested', value: { ...change.value, policy: undefined, requester: '', reason: '' } });
    case 'deliveryAttempted':
      return made({ $case: 'deliveryAttempted', value: { ...change.value, error: `[not recorded: ${cutText(why, WHY_BYTES)}]` } });
    default:
      return undefined;
  }
}

function reducedEnd({ started, attemptResult: ended, state, retryTime }: AttemptEnded, text: string): AttemptEnded {
  const bounded = ended && boundEnded(ended);
  return {
    started: started && { ...boundStarted(started), coldStartDetail: undefined },
    attemptResult: bounded && {
      ...bounded,
      result: bounded.result.length > 0 ? Buffer.from(JSON.stringify(text)) : NOTHING,
      resultTruncated: bounded.resultTruncated || bounded.result.length > 0,
      error: bounded.error.length > 0 ? errorOf(text, bounded.statusCode) : NOTHING,
      stop: bounded.stop && { ...bounded.stop, steps: bounded.stop.steps.slice(0, 10), extensions: [], changes: [] },
      logTail: '',
    },
    state,
    retryTime,
  };
}

function errorOf(text: string, statusCode: number): Buffer {
  return Buffer.from(JSON.stringify({ errorCode: -1, errorMessage: text, statusCode }));
}
