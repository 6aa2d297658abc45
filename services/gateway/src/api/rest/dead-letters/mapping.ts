import type { DeadLetter, ListDeadLettersResponse } from '@evenfall/contracts/v1/event_service';
import { jsonOrString } from '@evenfall/json-text';
import { eventText } from '../events/mapping.ts';
import type { JsonText } from '../json/text.ts';
import type { DeadLetterBody, DeadLetterPage } from './schema.ts';

/** Writes a dead letter as JSON text: its payload stays the bytes it came as. */
export function deadLetterText({ event, payload }: DeadLetter): JsonText<DeadLetterBody> {
  return `{"event":${event ? eventText(event) : 'null'},"payload":${jsonOrString(payload)}}`;
}

export function deadLetterPageText({ deadLetters, nextPageToken }: ListDeadLettersResponse): JsonText<DeadLetterPage> {
  return `{"dead_letters":[${deadLetters.map(deadLetterText).join(',')}],"next_page_token":${JSON.stringify(nextPageToken)}}`;
}
