import type { LogLineAnswer } from '../answers.ts';
import { type Context, eventPath } from '../context.ts';
import { logLineText } from '../format/event-text.ts';
import { failureOf } from './watching.ts';

/** Shows the log of an event; as JSON one line a line. */
export async function showLog(context: Context, id: string, options: { readonly follow?: boolean }): Promise<void> {
  const show = (line: LogLineAnswer): void => context.terminal.show(line, () => logLineText(line, context.terminal.color));
  if (options.follow) {
    for await (const { event, data } of context.api.stream(`${eventPath(id)}/logs`, { query: { follow: 'true' } })) {
      if (event === 'error') throw failureOf(data);
      show(JSON.parse(data) as LogLineAnswer); // the door's documented shape
    }
    return;
  }
  for await (const line of linesOf(context.api, id)) show(line);
}

/** All lines there are now, oldest first. */
export async function* linesOf(api: Context['api'], id: string): AsyncGenerator<LogLineAnswer> {
  let token: string | undefined;
  do {
    const page: { lines: LogLineAnswer[]; next_page_token: string } = await api.call('GET', `${eventPath(id)}/logs`, {
      query: { page_token: token },
    });
    yield* page.lines;
    token = page.next_page_token;
  } while (token !== '');
}
