import type { CallOptions } from '../api-client.ts';
import type { LogLineAnswer } from '../answers.ts';
import { type Context, eventPath } from '../context.ts';
import { logLineText } from '../format/event-text.ts';
import { Failure } from '../failure.ts';
import { failureOf, untilBroken } from './watching.ts';

export type LogOptions = {
  readonly follow?: boolean;
  readonly attempt?: string;
  readonly instance?: string;
  readonly grep?: string;
  readonly stream?: readonly string[];
};

/** Shows the log of an event; as JSON one line a line. */
export async function showLog(context: Context, id: string, options: LogOptions): Promise<void> {
  const query = {
    attempt: options.attempt,
    instance_id: options.instance,
    contains: options.grep,
    stream: options.stream?.map((stream) => stream.toUpperCase()),
  };
  const show = (line: LogLineAnswer): void => context.terminal.show(line, (seen) => logLineText(seen, context.terminal.color));
  if (options.follow) {
    for await (const line of followLog(context.api, id, query)) show(line);
    return;
  }
  for await (const line of linesOf(context.api, id, query)) show(line);
}

/** Every line of a log as it comes, until the log ends. A stream that breaks is taken up after the last line that came. */
export async function* followLog(
  api: Context['api'],
  id: string,
  query: NonNullable<CallOptions['query']> = {},
): AsyncGenerator<LogLineAnswer> {
  let lastId: string | undefined;
  for (let quietEnds = 0; quietEnds < 5; quietEnds++) {
    const stream = api.stream(`${eventPath(id)}/logs`, { query: { ...query, follow: 'true' }, headers: { 'last-event-id': lastId } });
    for await (const { id: lineId, event, data } of untilBroken(stream)) {
      if (event === 'error') throw failureOf(data);
      if (event === 'end') return;
      yield JSON.parse(data) as LogLineAnswer; // the documented shape of the API
      lastId = lineId ?? lastId;
      quietEnds = 0;
    }
  }
  throw new Failure('The log ended again and again before the event did.');
}

/** All lines there are now, oldest first. */
export async function* linesOf(
  api: Context['api'],
  id: string,
  query: NonNullable<CallOptions['query']> = {},
): AsyncGenerator<LogLineAnswer> {
  let token: string | undefined;
  do {
    const page: { lines: LogLineAnswer[]; next_page_token: string } = await api.call('GET', `${eventPath(id)}/logs`, {
      query: { ...query, page_token: token },
    });
    yield* page.lines;
    token = page.next_page_token;
  } while (token !== '');
}
