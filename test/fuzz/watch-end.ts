import { isFinal, type EventAnswer, type RestClient } from '../support/rest-client.ts';

/**
 * Waits for the end of an event by its watch. To ask for its state again and again would be most of what the platform does in a fuzz run: 600
 * requests a second for six events at a time. Rejects when the time is over.
 */
export async function watchEnd(rest: RestClient, id: string, withinMs: number): Promise<EventAnswer> {
  let state = '';
  for await (const { data } of rest.stream(`/v1/events/${id}:watch`, { signal: AbortSignal.timeout(withinMs) })) {
    const event = data as EventAnswer; // the watch sends whole events
    if (isFinal(event)) return event;
    ({ state } = event);
  }
  throw new Error(`The watch of ${id} ended when it was ${state}`);
}
