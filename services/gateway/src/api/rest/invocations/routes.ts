import { refuse } from '@evenfall/errors';
import { durationOfMs, parseDuration } from '@evenfall/time';
import { invokeFunction } from '../../../flows/invoke-function.ts';
import { keepBodyBytes } from '../../http/body-parsers.ts';
import { callerOf } from '../../http/caller.ts';
import { Payload } from '../events/schema.ts';
import { FUNCTION_PATH, FunctionPath } from '../json/fields.ts';
import { ref } from '../json/schema.ts';
import { sendJsonText } from '../json/text.ts';
import type { RestPlugin } from '../rest-plugin.ts';
import { invocationText } from './mapping.ts';
import { Invocation, InvocationHeaders, InvocationQuery } from './schema.ts';

export const invocationRoutes: RestPlugin = async (app, { gateway }) => {
  keepBodyBytes(app, 'application/json');
  app.post(
    `${FUNCTION_PATH}::invoke`,
    {
      bodyLimit: gateway.limits.maxSyncPayloadBytes,
      config: { bodyKind: 'payload' },
      schema: {
        tags: ['invocations'],
        operationId: 'invokeFunction',
        summary: 'Calls a function and waits for its answer; the body is its payload',
        params: FunctionPath,
        querystring: InvocationQuery,
        headers: InvocationHeaders,
        body: Payload,
        response: { 200: ref(Invocation) },
      },
    },
    async (request, reply) => {
      const { qualifier, queue_timeout: queueTimeout } = request.query;
      const queueMs = queueTimeout === undefined ? undefined : parseDuration(queueTimeout);
      if (queueTimeout !== undefined && queueMs === undefined) {
        throw refuse('INVALID_FIELD', { field: 'queue_timeout', rule: 'a duration such as "500ms" or "10s"' });
      }
      const answer = await invokeFunction(request.gateway, callerOf(request, reply), {
        namespace: request.params.namespace,
        function: request.params.function,
        qualifier: qualifier ?? request.headers['evenfall-qualifier'] ?? '',
        payload: request.body ?? Buffer.alloc(0),
        queueTimeout: queueMs === undefined ? undefined : durationOfMs(queueMs),
        cancelOnDisconnect: request.headers['evenfall-cancel'] === 'on-disconnect',
      });
      return sendJsonText(reply, invocationText(answer));
    },
  );
};
