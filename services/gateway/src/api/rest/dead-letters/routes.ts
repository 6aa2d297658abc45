import type { DeadLetter } from '@evenfall/contracts/v1/event_service';
import { jsonOrString } from '@evenfall/json-text';
import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { getDeadLetter, listDeadLetters, purgeDeadLetter, redriveDeadLetter } from '../../../flows/dead-letters.ts';
import { callerOf } from '../../http/caller.ts';
import { eventText } from '../events/mapping.ts';
import { EventPath, FunctionPath, PageQuery, pageOf, ref } from '../json/schemas.ts';

const DEAD_LETTER = '/v1/dead-letters/:event_id([^:/]+)';
const JSON_TYPE = 'application/json; charset=utf-8';
const TAGS = ['dead letters'];
const Paging = Type.Object(PageQuery, { additionalProperties: false });

type IdPath = { Params: Static<typeof EventPath> };

export function deadLetterRoutes(app: FastifyInstance): void {
  app.get<{ Params: Static<typeof FunctionPath>; Querystring: Static<typeof Paging> }>(
    '/v1/namespaces/:namespace/functions/:function/dead-letters',
    {
      schema: {
        tags: TAGS,
        operationId: 'listDeadLetters',
        summary: 'Lists dead letters of one function, newest first',
        params: FunctionPath,
        querystring: Paging,
        response: { 200: pageOf('dead_letters', 'DeadLetter') },
      },
    },
    async (request, reply) => {
      const { namespace, function: name } = request.params;
      const { page_size: pageSize = 0, page_token: pageToken = '' } = request.query;
      const page = await listDeadLetters(request.gateway, { namespace, function: name, pageSize, pageToken });
      const text = `{"dead_letters":[${page.deadLetters.map(deadLetterText).join(',')}],"next_page_token":${JSON.stringify(page.nextPageToken)}}`;
      return reply.header('content-type', JSON_TYPE).send(text);
    },
  );
  app.get<IdPath>(
    DEAD_LETTER,
    {
      schema: {
        tags: TAGS,
        operationId: 'getDeadLetter',
        summary: 'Gets one dead letter',
        params: EventPath,
        response: { 200: ref('DeadLetter') },
      },
    },
    async (request, reply) =>
      reply.header('content-type', JSON_TYPE).send(deadLetterText(await getDeadLetter(request.gateway, request.params.event_id))),
  );
  app.post<IdPath>(
    `${DEAD_LETTER}::redrive`,
    {
      schema: {
        tags: TAGS,
        operationId: 'redriveDeadLetter',
        summary: 'Accepts a new event with the payload of a dead letter, which is none any more',
        params: EventPath,
        response: { 202: ref('Event') },
      },
    },
    async (request, reply) => {
      const { event } = await redriveDeadLetter(request.gateway, callerOf(request, reply), { id: request.params.event_id });
      request.auditedNamespace = event?.namespace ?? '';
      reply.code(202).header('content-type', JSON_TYPE);
      return event ? reply.header('location', `/v1/events/${event.id}`).send(eventText(event)) : reply.send('null');
    },
  );
  app.delete<IdPath>(
    DEAD_LETTER,
    {
      schema: {
        tags: TAGS,
        operationId: 'purgeDeadLetter',
        summary: 'Throws a dead letter away',
        params: EventPath,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await purgeDeadLetter(request.gateway, { id: request.params.event_id });
      return reply.code(204).send();
    },
  );
}

function deadLetterText({ event, payload }: DeadLetter): string {
  return `{"event":${event ? eventText(event) : 'null'},"payload":${jsonOrString(payload)}}`;
}
