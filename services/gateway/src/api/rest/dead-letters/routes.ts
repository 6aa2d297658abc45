import { Type } from '@sinclair/typebox';
import { getDeadLetter, listDeadLetters, purgeDeadLetter, redriveDeadLetter } from '../../../flows/dead-letters.ts';
import { callerOf } from '../../http/caller.ts';
import { eventText } from '../events/mapping.ts';
import { Event } from '../events/schema.ts';
import { EventPath, FunctionPath, Paging } from '../json/fields.ts';
import { pageOf, ref } from '../json/schema.ts';
import { sendJsonText } from '../json/text.ts';
import { pageFrom } from '../json/values.ts';
import type { RestPlugin } from '../rest-plugin.ts';
import { deadLetterPageText, deadLetterText } from './mapping.ts';
import { DeadLetter } from './schema.ts';

const DEAD_LETTER = '/v1/dead-letters/:event_id([^:/]+)';
const TAGS = ['dead letters'];

export const deadLetterRoutes: RestPlugin = async (app) => {
  app.get(
    '/v1/namespaces/:namespace/functions/:function/dead-letters',
    {
      schema: {
        tags: TAGS,
        operationId: 'listDeadLetters',
        summary: 'Lists dead letters of one function, newest first',
        params: FunctionPath,
        querystring: Paging,
        response: { 200: pageOf('dead_letters', DeadLetter) },
      },
    },
    async (request, reply) => {
      const page = await listDeadLetters(request.gateway, { ...request.params, ...pageFrom(request.query) });
      return sendJsonText(reply, deadLetterPageText(page));
    },
  );
  app.get(
    DEAD_LETTER,
    {
      schema: {
        tags: TAGS,
        operationId: 'getDeadLetter',
        summary: 'Gets one dead letter',
        params: EventPath,
        response: { 200: ref(DeadLetter) },
      },
    },
    async (request, reply) => sendJsonText(reply, deadLetterText(await getDeadLetter(request.gateway, request.params.event_id))),
  );
  app.post(
    `${DEAD_LETTER}::redrive`,
    {
      schema: {
        tags: TAGS,
        operationId: 'redriveDeadLetter',
        summary: 'Accepts a new event with the payload of a dead letter, and removes the dead letter',
        params: EventPath,
        response: { 202: ref(Event) },
      },
    },
    async (request, reply) => {
      const { event } = await redriveDeadLetter(request.gateway, callerOf(request, reply), { id: request.params.event_id });
      request.auditedNamespace = event?.namespace ?? '';
      reply.code(202);
      if (!event) return event;
      reply.header('location', `/v1/events/${event.id}`);
      return sendJsonText(reply, eventText(event));
    },
  );
  app.delete(
    DEAD_LETTER,
    {
      schema: {
        tags: TAGS,
        operationId: 'purgeDeadLetter',
        summary: 'Removes a dead letter without running it again',
        params: EventPath,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await purgeDeadLetter(request.gateway, { id: request.params.event_id });
      reply.code(204);
      return null;
    },
  );
};
