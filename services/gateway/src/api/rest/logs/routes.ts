import type { TailLogLinesResponse } from '@evenfall/contracts/v1/log_service';
import { listLogLines, tailLogLines } from '../../../flows/read-log.ts';
import { callerOf } from '../../http/caller.ts';
import { sendEventStream, type StreamItem } from '../../http/server-sent-events.ts';
import { EVENT_PATH, EventPath } from '../json/fields.ts';
import { pageOf } from '../json/schema.ts';
import { EVENT_STREAM, lastEventId, NothingMore, sentEvents } from '../json/streams.ts';
import { pageFrom } from '../json/values.ts';
import type { RestPlugin } from '../rest-plugin.ts';
import { filterFrom, lineJson } from './mapping.ts';
import { LogLine, LogQuery } from './schema.ts';

/** Id of the event that ends a followed log. */
const END_ID = 'end';

export const logRoutes: RestPlugin = async (app, options) => {
  app.get(
    `${EVENT_PATH}/logs`,
    {
      schema: {
        tags: ['logs'],
        operationId: 'listLogLines',
        summary: 'Lists or follows log lines',
        params: EventPath,
        querystring: LogQuery,
        headers: lastEventId(),
        response: {
          200: {
            description: 'A page of lines. With `follow`: a `line` for every line; its data is a line. Then an `end`.',
            content: { 'application/json': { schema: pageOf('lines', LogLine) }, [EVENT_STREAM]: { schema: sentEvents('line', 'end') } },
          },
          204: NothingMore,
        },
      },
    },
    async (request, reply) => {
      const eventId = request.params.event_id;
      const filter = filterFrom(request.query);
      if (request.query.follow === true) {
        const resumeToken = request.headers['last-event-id'] ?? '';
        if (resumeToken === END_ID) {
          reply.code(204);
          return null;
        }
        const caller = callerOf(request, reply, options.closing);
        const lines = tailLogLines(request.gateway, caller, { eventId, filter, resumeToken });
        await sendEventStream(reply, lineItems(lines, caller.signal), options);
        return reply;
      }
      const page = await listLogLines(request.gateway, { eventId, ...pageFrom(request.query), filter });
      return { lines: page.lines.map(lineJson), next_page_token: page.nextPageToken };
    },
  );
};

/** Each line has as its id the token that resumes the log after it. The end has one too: a reader that comes back with it is answered 204, and stops. */
async function* lineItems(batches: AsyncIterable<TailLogLinesResponse>, signal: AbortSignal): AsyncGenerator<readonly StreamItem[]> {
  for await (const { lines, resumeTokens } of batches)
    yield lines.map((line, i) => ({ id: resumeTokens[i] ?? '', event: 'line', data: JSON.stringify(lineJson(line)) }));
  if (!signal.aborted) yield [{ id: END_ID, event: 'end', data: '{}' }];
}
