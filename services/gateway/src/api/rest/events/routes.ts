import { Event_State } from '@evenfall/contracts/v1/event';
import {
  ListEventsRequest_Order,
  ListEventsRequest_OrderBy,
  TerminateEventRequest_Wait,
  type WatchEventResponse,
} from '@evenfall/contracts/v1/event_service';
import { Readable } from 'node:stream';
import { orThrow } from '@evenfall/errors';
import type { FastifyRequest, RequestPayload } from 'fastify';
import { delayOf, submissionsOf } from '../../../domain/batch-body.ts';
import { MAX_BATCH_EVENTS } from '../../../domain/batch-limits.ts';
import { acceptLines } from '../../../flows/accept-lines.ts';
import { batchCreateEvents } from '../../../flows/batch-create-events.ts';
import { createEvent } from '../../../flows/create-event.ts';
import { getEvent } from '../../../flows/get-event.ts';
import { countEvents, listEvents } from '../../../flows/list-events.ts';
import { terminateEvent } from '../../../flows/terminate-event.ts';
import { watchEvent } from '../../../flows/watch-event.ts';
import { isLarge, keepBodyBytes, keepBodyParts } from '../../http/body-parsers.ts';
import { callerOf } from '../../http/caller.ts';
import { sendEventStream, type StreamItem } from '../../http/server-sent-events.ts';
import { bodyUnchecked, emptyIsObject } from '../../http/validation.ts';
import { valueOf } from '../json/enum-names.ts';
import { EVENT_PATH, EventPath, FunctionPath, NamespacePath } from '../json/fields.ts';
import { ref } from '../json/schema.ts';
import { EVENT_STREAM, lastEventId, NothingMore, sentEvents } from '../json/streams.ts';
import { sendJsonText } from '../json/text.ts';
import { dateOf, pageFrom } from '../json/values.ts';
import type { RestPlugin } from '../rest-plugin.ts';
import { policyFrom } from '../termination/mapping.ts';
import { Terminate } from '../termination/schema.ts';
import { sendLineAnswers } from './line-answers.ts';
import { batchJson, countsJson, eventPageText, eventText } from './mapping.ts';
import { Batch, BatchAnswer, BatchHeaders, Counts, CreateHeaders, Event, EventPage, EventQuery, Payload } from './schema.ts';

const EVENTS = '/v1/namespaces/:namespace/functions/:function/events';
/** Bytes of a batch's body: its payloads, and what is around them. */
const BATCH_BODY_BYTES = 33 * 1024 * 1024;
const TAGS = ['events'];

export const eventRoutes: RestPlugin = async (app, context) => {
  void app.register(createRoute, context);
  void app.register(batchCreateRoute, context);
  void app.register(countRoutes, context);
  void app.register(oneEventRoutes, context);

  app.get(
    EVENTS,
    {
      schema: {
        tags: TAGS,
        operationId: 'listEvents',
        summary: 'Lists events of one function',
        params: FunctionPath,
        querystring: EventQuery,
        response: { 200: EventPage },
      },
    },
    async (request, reply) => {
      const { query } = request;
      const page = await listEvents(request.gateway, {
        namespace: request.params.namespace,
        function: request.params.function,
        states: (query.state ?? []).map((state) => valueOf(Event_State, state)),
        qualifier: query.qualifier ?? '',
        trigger: query.trigger ?? '',
        startTimeAfter: dateOf('start_time_after', query.start_time_after),
        startTimeBefore: dateOf('start_time_before', query.start_time_before),
        endTimeAfter: dateOf('end_time_after', query.end_time_after),
        endTimeBefore: dateOf('end_time_before', query.end_time_before),
        orderBy: valueOf(ListEventsRequest_OrderBy, query.order_by?.toUpperCase()),
        order: valueOf(ListEventsRequest_Order, query.order?.toUpperCase()),
        ...pageFrom(query),
        showTotalSize: query.show_total_size ?? false,
      });
      return sendJsonText(reply, eventPageText(page));
    },
  );
};

/** The hot path: the body is the payload and stays the bytes it came as. */
const createRoute: RestPlugin = async (app, { gateway }) => {
  keepBodyBytes(app, 'application/json');
  app.post(
    EVENTS,
    {
      bodyLimit: gateway.limits.maxPayloadBytes,
      config: { bodyKind: 'payload' },
      schema: {
        tags: TAGS,
        operationId: 'createEvent',
        summary: 'Accepts one event; the body is its payload',
        params: FunctionPath,
        headers: CreateHeaders,
        body: Payload,
        response: { 202: ref(Event) },
      },
    },
    async (request, reply) => {
      const { headers } = request;
      const { event } = await createEvent(request.gateway, callerOf(request, reply), {
        namespace: request.params.namespace,
        function: request.params.function,
        qualifier: headers['evenfall-qualifier'] ?? '',
        submission: {
          payload: request.body ?? Buffer.alloc(0),
          idempotencyKey: headers['idempotency-key'] ?? '',
          delay: orThrow(delayOf('Evenfall-Delay', headers['evenfall-delay'] ?? '')),
        },
      });
      reply.code(202);
      if (!event) return event;
      reply.header('location', `/v1/events/${event.id}`);
      return sendJsonText(reply, eventText(event));
    },
  );
};

const batchCreateRoute: RestPlugin = async (app, { gateway, unexpected }) => {
  keepBodyParts(app, 'application/json');
  app.addContentTypeParser('application/x-ndjson', async (_request: FastifyRequest, payload: RequestPayload) => payload);
  app.post(
    `${EVENTS}::batchCreate`,
    {
      bodyLimit: BATCH_BODY_BYTES,
      validatorCompiler: bodyUnchecked,
      schema: {
        tags: TAGS,
        operationId: 'batchCreateEvents',
        summary: `Accepts up to ${MAX_BATCH_EVENTS} events, all or none but for those whose key was used for another request; or any number as lines (application/x-ndjson), each answered by a line`,
        params: FunctionPath,
        headers: BatchHeaders,
        body: Batch,
        response: { 202: BatchAnswer },
      },
    },
    async (request, reply) => {
      const named = {
        namespace: request.params.namespace,
        function: request.params.function,
        qualifier: request.headers['evenfall-qualifier'] ?? '',
      };
      const { body } = request;
      if (body instanceof Readable) {
        const answers = await acceptLines(request.gateway, callerOf(request, reply), named, body as AsyncIterable<Buffer>); // no encoding is set
        await sendLineAnswers(reply, answers, unexpected);
        return reply;
      }
      const parts = body ?? [];
      const submissions = isLarge(parts) ? await gateway.bodies.batch(parts) : orThrow(submissionsOf(Buffer.concat(parts)));
      const batch = { ...named, submissions };
      const { eventIds, refused } = await batchCreateEvents(request.gateway, callerOf(request, reply), batch, { areJson: true });
      reply.code(202);
      return batchJson(eventIds, refused);
    },
  );
};

const countRoutes: RestPlugin = async (app) => {
  app.get(
    `${EVENTS}::count`,
    {
      schema: {
        tags: TAGS,
        operationId: 'countFunctionEvents',
        summary: 'Counts the events of one function by state',
        params: FunctionPath,
        response: { 200: Counts },
      },
    },
    async ({ gateway, params }) => countsJson(await countEvents(gateway, params)),
  );
  app.get(
    '/v1/namespaces/:namespace/events::count',
    {
      schema: {
        tags: TAGS,
        operationId: 'countEvents',
        summary: 'Counts the events of a namespace by function and state',
        params: NamespacePath,
        response: { 200: Counts },
      },
    },
    async ({ gateway, params }) => countsJson(await countEvents(gateway, { namespace: params.namespace, function: '' })),
  );
};

const oneEventRoutes: RestPlugin = async (app, options) => {
  app.get(
    EVENT_PATH,
    { schema: { tags: TAGS, operationId: 'getEvent', summary: 'Gets one event', params: EventPath, response: { 200: ref(Event) } } },
    async (request, reply) => sendJsonText(reply, eventText(await getEvent(request.gateway, request.params.event_id))),
  );

  app.post(
    `${EVENT_PATH}::terminate`,
    {
      schema: {
        tags: TAGS,
        operationId: 'terminateEvent',
        summary: 'Terminates one event',
        params: EventPath,
        body: Terminate,
        response: { 200: ref(Event) },
      },
      preValidation: emptyIsObject,
    },
    async (request, reply) => {
      const { graceful = false, reason = '', wait, ...policy } = request.body;
      const { event } = await terminateEvent(request.gateway, callerOf(request, reply), {
        id: request.params.event_id,
        graceful,
        policy: Object.keys(policy).length > 0 ? policyFrom(policy) : undefined,
        reason,
        wait: valueOf(TerminateEventRequest_Wait, wait?.toUpperCase()),
      });
      request.auditedNamespace = event?.namespace ?? '';
      return event && sendJsonText(reply, eventText(event));
    },
  );

  app.get(
    `${EVENT_PATH}::watch`,
    {
      schema: {
        tags: TAGS,
        operationId: 'watchEvent',
        summary: 'Sends every change of one event, until its final state, as server-sent events',
        params: EventPath,
        headers: WatchHeaders,
        response: {
          200: {
            description: 'A `change` for every change; its data is an event.',
            content: { [EVENT_STREAM]: { schema: sentEvents('change') } },
          },
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
};

/** A version, which is an int32 (event_service.proto). */
const VERSION =
  '^(\\d{1,9}|1\\d{9}|20\\d{8}|21[0-3]\\d{7}|214[0-6]\\d{6}|2147[0-3]\\d{5}|21474[0-7]\\d{4}|214748[0-2]\\d{3}|2147483[0-5]\\d\\d|21474836[0-3]\\d|214748364[0-7])?$';
const WatchHeaders = lastEventId({
  pattern: VERSION,
  'x-rule': 'the id of an event this stream has sent',
  'x-field': 'Last-Event-ID',
  examples: ['1'],
});

async function* changeItems(changes: AsyncIterable<WatchEventResponse>): AsyncGenerator<readonly StreamItem[]> {
  for await (const { event, version } of changes) {
    if (event) yield [{ id: String(version), event: 'change', data: eventText(event) }];
  }
}
