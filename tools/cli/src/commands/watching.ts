import { visible } from '@evenfall/json-text';
import { type ApiClient, parseAnswer } from '../api-client.ts';
import { type EventAnswer, hasEnded } from '../answers.ts';
import { eventPath } from '../context.ts';
import type { ServerSentEvent } from '../event-stream.ts';
import { type ApiError, Failure } from '../failure.ts';

/** Every change of an event until its final state. A stream that breaks is taken up where it broke. */
export async function* changesOf(api: ApiClient, id: string): AsyncGenerator<EventAnswer> {
  let lastId: string | undefined;
  for (let quietEnds = 0; quietEnds < 5; quietEnds++) {
    const stream = api.stream(`${eventPath(id)}:watch`, { headers: { 'last-event-id': lastId } });
    for await (const { id: version, event: kind, data } of untilBroken(stream)) {
      if (kind === 'error') throw failureOf(data);
      const event = parseAnswer(data) as EventAnswer; // the documented shape of the API
      yield event;
      if (hasEnded(event)) return;
      lastId = version ?? lastId;
      quietEnds = 0;
    }
    const event = await api.call<EventAnswer>('GET', eventPath(id));
    if (hasEnded(event)) {
      yield event;
      return;
    }
  }
  throw new Failure('The watch ended again and again before the event did.');
}

/** Waits for the end of an event. */
export async function untilEnded(api: ApiClient, id: string): Promise<EventAnswer> {
  let last: EventAnswer | undefined;
  for await (const event of changesOf(api, id)) last = event;
  if (!last) throw new Failure(`The stream of event ${id} ended without a state.`);
  return last;
}

/** The events of a stream; a connection that breaks on the way only ends them. */
export async function* untilBroken(stream: AsyncIterable<ServerSentEvent>): AsyncGenerator<ServerSentEvent> {
  try {
    yield* stream;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // what fetch throws when its connection breaks
  }
}

export function failureOf(data: string): Failure {
  const { error } = JSON.parse(data) as { error: ApiError }; // the documented shape of the API
  return new Failure(visible(error.message), 1, error);
}
