import type { WatchEventResponse } from '@evenfall/contracts/v1/event_service';
import { type LogFilter, type LogLine, LogLine_Stream, type TailLogLinesResponse } from '@evenfall/contracts/v1/log_service';
import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { listLogLines, tailLogLines } from '../../../flows/read-log.ts';
import { watchEvent } from '../../../flows/watch-event.ts';
import { callerOf } from '../../http/caller.ts';
import { nameOf, valueOf } from '../json/enum-names.ts';
import { eventText } from '../events/mapping.ts';
import { sendEventStream, type StreamItem, type StreamOptions } from '../../http/server-sent-events.ts';
import { choiceOf, enumOf, EventPath, PageQuery, pageOf, textWithoutNul } from '../json/schemas.ts';

const EVENT = '/v1/events/:event_id([^:/]+)';
const LogQuery = Type.Object(
  {
    ...PageQuery,
    follow: Type.Optional(Type.Boolean()),
    attempt: Type.Optional(Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1, description: 'Only lines of this attempt.' })),
    instance_id: Type.Optional(textWithoutNul('Only lines of this instance.', 128)),
    contains: Type.Optional(textWithoutNul('Only lines with this text in them.')),
    stream: Type.Optional(Type.Array(enumOf(LogLine_Stream))),
  },
  { additionalProperties: false },
);
const STREAM = 'text/event-stream';
/**
 * A body of server-sent events. OpenAPI 3.1 has no words for the items of a stream: the schema of one of them alone would be taken for that of the body, and
 * clients that are generated could not read it. Tools that know event streams read each event by it.
 */
const sent = (...names: readonly string[]) =>
  Type.Union(
    [
      Type.String(),
      Type.Object({
        id: Type.Optional(Type.String()),
        event: choiceOf([...names, 'error']),
        data: Type.String({ contentMediaType: 'application/json' }),
      }),
    ],
    { description: 'Text as a whole; each event is, once its fields have been read, an object.' },
  );
const NothingMore = Type.Null({ description: 'The reader has had all of it: there is no more to come back for.' });
/** Id of what says that a log has ended. */
const END_ID = 'end';
const LAST_READ = { description: 'Id of the last event that was read.' };
const Resume = Type.Object({ 'last-event-id': Type.Optional(Type.String(LAST_READ)) });
/** A version, which is an int32 (event_service.proto). */
const VERSION =
  '^(\\d{1,9}|1\\d{9}|20\\d{8}|21[0-3]\\d{7}|214[0-6]\\d{6}|2147[0-3]\\d{5}|21474[0-7]\\d{4}|214748[0-2]\\d{3}|2147483[0-5]\\d\\d|21474836[0-3]\\d|214748364[0-7])?$';
const ResumeWatch = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({
      ...LAST_READ,
      pattern: VERSION,
      'x-rule': 'the id of an event this stream has sent',
      'x-field': 'Last-Event-ID',
      examples: ['1'],
    }),
  ),
});

type IdPath = { Params: Static<typeof EventPath> };

/** What changes while one looks: events and their logs. */
export function streamRoutes(app: FastifyInstance, options: StreamOptions): void {
  app.get<IdPath>(
    `${EVENT}::watch`,
    {
      schema: {
        tags: ['events'],
        operationId: 'watchEvent',
        summary: 'Sends every change of one event, until its final state, as server-sent events',
        params: EventPath,
        headers: ResumeWatch,
        response: {
          200: { description: 'A `change` for every change; its data is an event.', content: { [STREAM]: { schema: sent('change') } } },
          204: NothingMore,
        },
      },
    },
    async (request, reply) => {
      const afterVersion = Number(request.headers['last-event-id'] ?? 0);
      const changes = watchEvent(request.gateway, callerOf(request, reply, options.closing), { id: request.params.event_id, afterVersion });
      await sendEventStream(reply, changeItems(changes), options);
      return reply;
    },
  );

  app.get<IdPath & { Querystring: Static<typeof LogQuery> }>(
    `${EVENT}/logs`,
    {
      schema: {
        tags: ['logs'],
        operationId: 'listLogLines',
        summary: 'Lists or follows log lines',
        params: EventPath,
        querystring: LogQuery,
        headers: Resume,
        response: {
          200: {
            description: 'A page of lines. With `follow`: a `line` for every line; its data is a line. Then an `end`.',
            content: { 'application/json': { schema: pageOf('lines', 'LogLine') }, [STREAM]: { schema: sent('line', 'end') } },
          },
          204: NothingMore,
        },
      },
    },
    async (request, reply) => {
      const eventId = request.params.event_id;
      const { follow = false, page_size: pageSize = 0, page_token: pageToken = '' } = request.query;
      const filter = filterOf(request.query);
      if (follow) {
        const resumeToken = textOf(request.headers['last-event-id']);
        if (resumeToken === END_ID) return reply.code(204).send();
        const caller = callerOf(request, reply, options.closing);
        const lines = tailLogLines(request.gateway, caller, { eventId, filter, resumeToken });
        await sendEventStream(reply, lineItems(lines, caller.signal), options);
        return reply;
      }
      const page = await listLogLines(request.gateway, { eventId, pageSize, pageToken, filter });
      return reply.send({ lines: page.lines.map(lineJson), next_page_token: page.nextPageToken });
    },
  );
}

function filterOf({ attempt, instance_id: instanceId, contains, stream }: Static<typeof LogQuery>): LogFilter | undefined {
  if (attempt === undefined && instanceId === undefined && contains === undefined && stream === undefined) return undefined;
  const streams = (stream ?? []).map((name) => valueOf(LogLine_Stream, name));
  return { attempt: attempt ?? 0, instanceId: instanceId ?? '', contains: contains ?? '', streams };
}

async function* changeItems(changes: AsyncIterable<WatchEventResponse>): AsyncGenerator<readonly StreamItem[]> {
  for await (const { event, version } of changes) {
    if (event) yield [{ id: String(version), event: 'change', data: eventText(event) }];
  }
}

/** Each line has the token to go on after it as its id. The end has one too: a reader that comes back with it is answered 204, and rests. */
async function* lineItems(batches: AsyncIterable<TailLogLinesResponse>, signal: AbortSignal): AsyncGenerator<readonly StreamItem[]> {
  for await (const { lines, resumeTokens } of batches)
    yield lines.map((line, i) => ({ id: resumeTokens[i] ?? '', event: 'line', data: JSON.stringify(lineJson(line)) }));
  if (!signal.aborted) yield [{ id: END_ID, event: 'end', data: '{}' }];
}

function lineJson(line: LogLine): object {
  return {
    time: line.time ?? null,
    stream: nameOf(LogLine_Stream, line.stream) ?? null,
    attempt: line.attempt,
    instance_id: line.instanceId,
    text: line.text,
  };
}

function textOf(header: string | string[] | undefined): string {
  return typeof header === 'string' ? header : '';
}
