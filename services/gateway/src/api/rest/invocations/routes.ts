import { refuse } from '@evenfall/errors';
import { durationOfMs, parseDuration } from '@evenfall/time';
import { jsonOrString } from '@evenfall/json-text';
import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { invokeFunction } from '../../../flows/invoke-function.ts';
import type { Gateway } from '../../../ports.ts';
import { takeBytes } from '../../http/body-parsers.ts';
import { callerOf } from '../../http/caller.ts';
import { Duration, FunctionPath, Qualifier, ref } from '../json/schemas.ts';

const Query = Type.Object({ qualifier: Type.Optional(Qualifier), queue_timeout: Type.Optional(Duration) }, { additionalProperties: false });

export function invocationRoutes(app: FastifyInstance, gateway: Gateway): void {
  void app.register(async (raw) => {
    takeBytes(raw, 'application/json');
    raw.post<{ Params: Static<typeof FunctionPath>; Querystring: Static<typeof Query>; Body: Buffer | undefined }>(
      '/v1/namespaces/:namespace/functions/:function([^:/]+)::invoke',
      {
        bodyLimit: gateway.limits.maxSyncPayloadBytes,
        config: { bodyKind: 'payload' },
        schema: {
          tags: ['invocations'],
          operationId: 'invokeFunction',
          summary: 'Calls a function and waits for its answer; the body is its payload',
          params: FunctionPath,
          querystring: Query,
          headers: Type.Object({
            'evenfall-qualifier': Type.Optional(Qualifier),
            'evenfall-cancel': Type.Optional(
              Type.Literal('on-disconnect', {
                description: 'Stops the function by its termination policy if the caller leaves; otherwise it runs on.',
              }),
            ),
          }),
          body: Type.Unknown({ description: 'Any JSON value.' }),
          response: { 200: ref('Invocation') },
        },
      },
      async (request, reply) => {
        const header = request.headers['evenfall-qualifier'];
        const { qualifier, queue_timeout: queueTimeout } = request.query;
        const queueMs = queueTimeout === undefined ? undefined : parseDuration(queueTimeout);
        if (queueTimeout !== undefined && queueMs === undefined) {
          throw refuse('INVALID_FIELD', { field: 'queue_timeout', rule: 'a duration such as "500ms" or "10s"' });
        }
        const answer = await invokeFunction(request.gateway, callerOf(request, reply), {
          namespace: request.params.namespace,
          function: request.params.function,
          qualifier: qualifier ?? (typeof header === 'string' ? header : ''),
          payload: request.body ?? Buffer.alloc(0),
          queueTimeout: queueMs === undefined ? undefined : durationOfMs(queueMs),
          cancelOnDisconnect: request.headers['evenfall-cancel'] === 'on-disconnect',
        });
        const outcome = answer.error.length > 0 ? `"error":${jsonOrString(answer.error)}` : `"result":${jsonOrString(answer.result)}`;
        const rest = JSON.stringify({
          log_tail: answer.logTail,
          duration_ms: answer.durationMs,
          billed_duration_ms: Number(answer.billedDurationMs),
          memory_bytes: Number(answer.memoryBytes),
        });
        return reply
          .header('content-type', 'application/json; charset=utf-8')
          .send(`{"event_id":"${answer.eventId}","status_code":${answer.statusCode},${outcome},${rest.slice(1)}`);
      },
    );
  });
}
