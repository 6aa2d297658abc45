import { type Static, Type } from '@sinclair/typebox';
import { FUNCTION_PATH, FunctionPath } from '../json/fields.ts';
import { ref } from '../json/schema.ts';
import type { RestPlugin } from '../rest-plugin.ts';
import { provisionedJson, reservedJson } from './mapping.ts';
import {
  AnyVersion,
  OneVersion,
  ProvisionedBody,
  ProvisionedConcurrency,
  ProvisionedVersions,
  ReservedBody,
  ReservedConcurrency,
} from './schema.ts';

const RESERVED = `${FUNCTION_PATH}/reserved-concurrency`;
const PROVISIONED = `${FUNCTION_PATH}/provisioned-concurrency`;
const TAGS = ['functions'];

/** Concurrency that is reserved for functions, and instances that are provisioned for versions. */
export const concurrencyRoutes: RestPlugin = async (app, context) => {
  void app.register(reservedRoutes, context);
  void app.register(provisionedRoutes, context);
};

function named({ namespace, function: name }: Static<typeof FunctionPath>): { readonly namespace: string; readonly name: string } {
  return { namespace, name };
}

const reservedRoutes: RestPlugin = async (app) => {
  app.put(
    RESERVED,
    {
      schema: {
        tags: TAGS,
        operationId: 'putReservedConcurrency',
        summary: 'Reserves memory for a function: it gets no more, and no other function gets any of it',
        params: FunctionPath,
        body: ReservedBody,
        response: { 200: ref(ReservedConcurrency) },
      },
    },
    async (request) => {
      const answer = await request.functions.putReservedConcurrency({ ...named(request.params), memoryMb: request.body.memory_mb });
      return answer.reservedConcurrency && reservedJson(answer.reservedConcurrency);
    },
  );

  app.get(
    RESERVED,
    {
      schema: {
        tags: TAGS,
        operationId: 'getReservedConcurrency',
        summary: 'Shows what is reserved for a function',
        params: FunctionPath,
        response: { 200: ref(ReservedConcurrency) },
      },
    },
    async (request) => {
      const { reservedConcurrency } = await request.functions.getReservedConcurrency(named(request.params));
      return reservedConcurrency && reservedJson(reservedConcurrency);
    },
  );

  app.delete(
    RESERVED,
    {
      schema: {
        tags: TAGS,
        operationId: 'deleteReservedConcurrency',
        summary: 'Removes the reserved concurrency of a function',
        params: FunctionPath,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await request.functions.deleteReservedConcurrency(named(request.params));
      reply.code(204);
      return null;
    },
  );
};

const provisionedRoutes: RestPlugin = async (app) => {
  app.put(
    PROVISIONED,
    {
      schema: {
        tags: TAGS,
        operationId: 'putProvisionedConcurrency',
        summary: 'Keeps instances of a published version ready',
        params: FunctionPath,
        querystring: OneVersion,
        body: ProvisionedBody,
        response: { 200: ref(ProvisionedConcurrency) },
      },
    },
    async (request) => {
      const answer = await request.functions.putProvisionedConcurrency({
        ...named(request.params),
        qualifier: request.query.qualifier,
        instances: request.body.instances,
      });
      return answer.provisionedConcurrency && provisionedJson(answer.provisionedConcurrency);
    },
  );

  app.get(
    PROVISIONED,
    {
      schema: {
        tags: TAGS,
        operationId: 'getProvisionedConcurrency',
        summary: 'Shows what is provisioned, how much of it is available, and why not all of it is',
        params: FunctionPath,
        querystring: AnyVersion,
        response: { 200: ProvisionedVersions },
      },
    },
    async (request) => {
      const { versions, unallocatedMb } = await request.functions.getProvisionedConcurrency({
        ...named(request.params),
        qualifier: request.query.qualifier ?? '',
      });
      return { versions: versions.map(provisionedJson), unallocated_mb: unallocatedMb };
    },
  );

  app.delete(
    PROVISIONED,
    {
      schema: {
        tags: TAGS,
        operationId: 'deleteProvisionedConcurrency',
        summary: 'Removes the provisioned concurrency of a version: its instances start and stop with its events',
        params: FunctionPath,
        querystring: OneVersion,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await request.functions.deleteProvisionedConcurrency({ ...named(request.params), qualifier: request.query.qualifier });
      reply.code(204);
      return null;
    },
  );
};
