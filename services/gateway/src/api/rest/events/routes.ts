import { Event_State } from '@evenfall/contracts/v1/event';
import {
  ListEventsRequest_Order,
  ListEventsRequest_OrderBy,
  type RefusedSubmission,
  TerminateEventRequest_Wait,
} from '@evenfall/contracts/v1/event_service';
import { Readable } from 'node:stream';
import { type Reason, Refusal } from '@evenfall/errors';
import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyRequest, RequestPayload } from 'fastify';
import { MAX_BATCH_EVENTS } from '../../../domain/batch-limits.ts';
import { delayOf, submissionsOf } from '../../../domain/batch-body.ts';
import { acceptLines } from '../../../flows/accept-lines.ts';
import { batchCreateEvents } from '../../../flows/batch-create-events.ts';
import { createEvent } from '../../../flows/create-event.ts';
import { getEvent } from '../../../flows/get-event.ts';
import { countEvents, listEvents } from '../../../flows/list-events.ts';
import { terminateEvent } from '../../../flows/terminate-event.ts';
import type { Gateway } from '../../../ports.ts';
import { isLarge, takeBytes, takeParts } from '../../http/body-parsers.ts';
import { callerOf } from '../../http/caller.ts';
import { nameOf, valueOf } from '../json/enum-names.ts';
import { dateOf } from '../json/dates.ts';
import { errorBody } from '../../http/errors.ts';
import { sendLineAnswers } from './line-answers.ts';
import { eventText } from './mapping.ts';
import { Duration, enumOf, EventPath, EventQuery, FunctionPath, NamespacePath, Qualifier, ref, Terminate } from '../json/schemas.ts';
import { policyFrom } from '../termination/mapping.ts';
import { bodyUnchecked, emptyIsObject } from '../../http/validation.ts';

const EVENTS = '/v1/namespaces/:namespace/functions/:function/events';
const EVENT = '/v1/events/:event_id([^:/]+)';
/** Bytes of a batch's body: its payloads, and what is around them. */
const BATCH_BODY_BYTES = 33 * 1024 * 1024;
const JSON_TYPE = 'application/json; charset=utf-8';
const TAGS = ['events'];

const EventPage = Type.Object({
  events: Type.Array(ref('Event')),
  next_page_token: Type.String(),
  total_size: Type.Optional(Type.Integer({ description: 'How many match on all pages; only with show_total_size.' })),
  total_size_is_estimate: Type.Optional(Type.Boolean()),
});
const Counts = Type.Object({
  counts: Type.Array(Type.Object({ function: Type.String(), state: enumOf(Event_State), count: Type.Integer() })),
});

/** Bytes beyond ASCII have no agreed meaning in a header (RFC 9110 §5.5): two clients would mean different keys by the same bytes. */
const HeaderKey = Type.String({
  pattern: '^ *[!-~][ -~]*$',
  'x-rule': 'characters of ASCII that are not all blank',
  examples: ['order-1'],
});
/** An empty one is none. */
const Delay = Type.String({ ...Duration, pattern: `^$|${Duration.pattern ?? ''}` });
/** Refusals name the field that is meant, in its own spelling. */
const QualifierHeader = { ...Qualifier, 'x-field': 'qualifier' };
const DelayHeader = { ...Delay, 'x-field': 'Evenfall-Delay' };
const Batch = Type.Unsafe<Buffer | undefined>(
  Type.Object(
    {
      events: Type.Array(
        Type.Object(
          {
            payload: Type.Optional(Type.Unknown({ description: 'Any JSON value; null by default. Kept as the bytes it is written as.' })),
            idempotency_key: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
            delay: Type.Optional(Delay),
          },
          { additionalProperties: false },
        ),
        { minItems: 1, maxItems: MAX_BATCH_EVENTS },
      ),
    },
    { additionalProperties: false },
  ),
);

type Path = { Params: Static<typeof FunctionPath> };
type IdPath = { Params: Static<typeof EventPath> };

export function eventRoutes(app: FastifyInstance, gateway: Gateway, unexpected: (error: unknown) => void): void {
  void app.register(async (raw) => {
    takeBytes(raw, 'application/json');
    acceptOne(raw, gateway);
  });
  void app.register(async (raw) => {
    takeParts(raw, 'application/json');
    raw.addContentTypeParser('application/x-ndjson', async (_request: FastifyRequest, payload: RequestPayload) => payload);
    acceptMany(raw, gateway, unexpected);
  });

  app.get<Path & { Querystring: Static<typeof EventQuery> }>(
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
        pageSize: query.page_size ?? 0,
        pageToken: query.page_token ?? '',
        showTotalSize: query.show_total_size ?? false,
      });
      const { totalSize, totalSizeIsEstimate } = page;
      const total = totalSize === undefined ? '' : `,"total_size":${totalSize},"total_size_is_estimate":${totalSizeIsEstimate}`;
      const text = `{"events":[${page.events.map(eventText).join(',')}],"next_page_token":${JSON.stringify(page.nextPageToken)}${total}}`;
      return reply.header('content-type', JSON_TYPE).send(text);
    },
  );

  const count = async (gateway: Gateway, namespace: string, fn: string) => {
    const { counts } = await countEvents(gateway, { namespace, function: fn });
    return { counts: counts.map((one) => ({ ...one, state: nameOf(Event_State, one.state), count: Number(one.count) })) };
  };
  app.get<Path>(
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
    (request) => count(request.gateway, request.params.namespace, request.params.function),
  );
  app.get<{ Params: Static<typeof NamespacePath> }>(
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
    (request) => count(request.gateway, request.params.namespace, ''),
  );

  app.get<IdPath>(
    EVENT,
    { schema: { tags: TAGS, operationId: 'getEvent', summary: 'Gets one event', params: EventPath, response: { 200: ref('Event') } } },
    async (request, reply) =>
      reply.header('content-type', JSON_TYPE).send(eventText(await getEvent(request.gateway, request.params.event_id))),
  );

  app.post<IdPath & { Body: Static<typeof Terminate> }>(
    `${EVENT}::terminate`,
    {
      schema: {
        tags: TAGS,
        operationId: 'terminateEvent',
        summary: 'Terminates one event',
        params: EventPath,
        body: Terminate,
        response: { 200: ref('Event') },
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
      return reply.header('content-type', JSON_TYPE).send(event ? eventText(event) : 'null');
    },
  );
}

/** The hot path: the body is the payload and stays the bytes it came as. */
function acceptOne(app: FastifyInstance, gateway: Gateway): void {
  app.post<Path & { Body: Buffer | undefined }>(
    EVENTS,
    {
      bodyLimit: gateway.limits.maxPayloadBytes,
      config: { bodyKind: 'payload' },
      schema: {
        tags: TAGS,
        operationId: 'createEvent',
        summary: 'Accepts one event; the body is its payload',
        params: FunctionPath,
        headers: Type.Object({
          'idempotency-key': Type.Optional(HeaderKey),
          'evenfall-qualifier': Type.Optional(QualifierHeader),
          'evenfall-delay': Type.Optional(DelayHeader),
          traceparent: Type.Optional(Type.String()),
        }),
        body: Type.Unknown({ description: 'Any JSON value.' }),
        response: { 202: ref('Event') },
      },
    },
    async (request, reply) => {
      const { headers } = request;
      const { event } = await createEvent(request.gateway, callerOf(request, reply), {
        namespace: request.params.namespace,
        function: request.params.function,
        qualifier: textOf(headers['evenfall-qualifier']),
        submission: {
          payload: request.body ?? Buffer.alloc(0),
          idempotencyKey: textOf(headers['idempotency-key']),
          delay: delayOf('Evenfall-Delay', textOf(headers['evenfall-delay'])),
        },
      });
      reply.code(202).header('content-type', JSON_TYPE);
      return event ? reply.header('location', `/v1/events/${event.id}`).send(eventText(event)) : reply.send('null');
    },
  );
}

/** What became of the events of a batch, in order. */
const Accepted = Type.Object({
  events: Type.Array(
    Type.Object({ id: Type.Optional(Type.String()), error: Type.Optional(Type.Unknown({ description: 'Instead of an id.' })) }),
  ),
});

function acceptMany(app: FastifyInstance, gateway: Gateway, unexpected: (error: unknown) => void): void {
  app.post<Path & { Body: readonly Buffer[] | Readable | undefined }>(
    `${EVENTS}::batchCreate`,
    {
      bodyLimit: BATCH_BODY_BYTES,
      validatorCompiler: bodyUnchecked,
      schema: {
        tags: TAGS,
        operationId: 'batchCreateEvents',
        summary: `Accepts up to ${MAX_BATCH_EVENTS} events, all or none but for those whose key was used for another request; or any number as lines (application/x-ndjson), each answered by a line`,
        params: FunctionPath,
        headers: Type.Object({ 'evenfall-qualifier': Type.Optional(QualifierHeader), traceparent: Type.Optional(Type.String()) }),
        body: Batch,
        response: { 202: Accepted },
      },
    },
    async (request, reply) => {
      const named = {
        namespace: request.params.namespace,
        function: request.params.function,
        qualifier: textOf(request.headers['evenfall-qualifier']),
      };
      if (request.body instanceof Readable) {
        const answers = await acceptLines(request.gateway, callerOf(request, reply), named, request.body as AsyncIterable<Buffer>); // no encoding is set
        await sendLineAnswers(reply, answers, unexpected);
        return reply;
      }
      const parts = request.body ?? [];
      const submissions = isLarge(parts) ? await gateway.bodies.batch(parts) : submissionsOf(Buffer.concat(parts));
      const { eventIds, refused } = await batchCreateEvents(
        request.gateway,
        callerOf(request, reply),
        {
          namespace: request.params.namespace,
          function: request.params.function,
          qualifier: textOf(request.headers['evenfall-qualifier']),
          submissions,
        },
        { areJson: true },
      );
      return reply.code(202).header('content-type', JSON_TYPE).send(batchText(eventIds, refused));
    },
  );
}

/** Each event by its id, or by its error, in the order they came. */
function batchText(eventIds: readonly string[], refused: readonly RefusedSubmission[]): string {
  const errors = new Map(refused.map(({ index, reason, metadata }) => [index, errorBody([new Refusal(reason as Reason, metadata)])])); // a flow of this service made it
  return JSON.stringify({ events: eventIds.map((id, index) => errors.get(index) ?? { id }) });
}

function textOf(header: string | string[] | undefined): string {
  return typeof header === 'string' ? header : '';
}
