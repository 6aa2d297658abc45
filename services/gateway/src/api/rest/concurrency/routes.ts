import {
  type ProvisionedConcurrency,
  ProvisionedConcurrency_State as State,
  type ReservedConcurrency,
} from '@evenfall/contracts/v1/function_service';
import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { nameOf } from '../json/enum-names.ts';
import { FunctionPath, ref, VersionNumber } from '../json/schemas.ts';

const FUNCTION = '/v1/namespaces/:namespace/functions/:function([^:/]+)';
const STRICT = { additionalProperties: false } as const;
const TAGS = ['functions'];
const MAX_INT32 = 2_147_483_647;
const Reserved = Type.Object(
  { memory_mb: Type.Integer({ minimum: 0, maximum: MAX_INT32, description: '0 turns the function off.' }) },
  STRICT,
);
const Provisioned = Type.Object({ instances: Type.Integer({ minimum: 1, maximum: 10_000 }) }, STRICT);
const Qualifier = { ...VersionNumber, description: 'Number of a published version.' };
const OneVersion = Type.Object({ qualifier: Qualifier }, STRICT);
const AnyVersion = Type.Object({ qualifier: Type.Optional(Qualifier) }, STRICT);
const Versions = Type.Object({ versions: Type.Array(ref('ProvisionedConcurrency')), unallocated_mb: Type.Integer() });

type Path = { Params: Static<typeof FunctionPath> };

/** What is reserved and provisioned. */
export function concurrencyRoutes(app: FastifyInstance): void {
  const named = ({ namespace, function: name }: Path['Params']) => ({ namespace, name });

  app.put<Path & { Body: Static<typeof Reserved> }>(
    `${FUNCTION}/reserved-concurrency`,
    {
      schema: {
        tags: TAGS,
        operationId: 'putReservedConcurrency',
        summary: 'Reserves memory for a function: it gets no more, and nobody else gets any of it',
        params: FunctionPath,
        body: Reserved,
        response: { 200: ref('ReservedConcurrency') },
      },
    },
    async (request) => {
      const answer = await request.functions.putReservedConcurrency({ ...named(request.params), memoryMb: request.body.memory_mb });
      return answer.reservedConcurrency && reservedJson(answer.reservedConcurrency);
    },
  );

  app.get<Path>(
    `${FUNCTION}/reserved-concurrency`,
    {
      schema: {
        tags: TAGS,
        operationId: 'getReservedConcurrency',
        summary: 'Says what is reserved for a function',
        params: FunctionPath,
        response: { 200: ref('ReservedConcurrency') },
      },
    },
    async (request) => {
      const { reservedConcurrency } = await request.functions.getReservedConcurrency(named(request.params));
      return reservedConcurrency && reservedJson(reservedConcurrency);
    },
  );

  app.delete<Path>(
    `${FUNCTION}/reserved-concurrency`,
    {
      schema: {
        tags: TAGS,
        operationId: 'deleteReservedConcurrency',
        summary: 'Lets a function share with all others again',
        params: FunctionPath,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await request.functions.deleteReservedConcurrency(named(request.params));
      return reply.code(204).send();
    },
  );

  app.put<Path & { Querystring: Static<typeof OneVersion>; Body: Static<typeof Provisioned> }>(
    `${FUNCTION}/provisioned-concurrency`,
    {
      schema: {
        tags: TAGS,
        operationId: 'putProvisionedConcurrency',
        summary: 'Has instances of a published version kept ready',
        params: FunctionPath,
        querystring: OneVersion,
        body: Provisioned,
        response: { 200: ref('ProvisionedConcurrency') },
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

  app.get<Path & { Querystring: Static<typeof AnyVersion> }>(
    `${FUNCTION}/provisioned-concurrency`,
    {
      schema: {
        tags: TAGS,
        operationId: 'getProvisionedConcurrency',
        summary: 'Says what is provisioned, how much of it is there, and why not all of it is',
        params: FunctionPath,
        querystring: AnyVersion,
        response: { 200: Versions },
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

  app.delete<Path & { Querystring: Static<typeof OneVersion> }>(
    `${FUNCTION}/provisioned-concurrency`,
    {
      schema: {
        tags: TAGS,
        operationId: 'deleteProvisionedConcurrency',
        summary: 'Has instances of a version come and go with its events again',
        params: FunctionPath,
        querystring: OneVersion,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await request.functions.deleteProvisionedConcurrency({ ...named(request.params), qualifier: request.query.qualifier });
      return reply.code(204).send();
    },
  );
}

function reservedJson({ memoryMb, totalMb, availableMb }: ReservedConcurrency): object {
  return { memory_mb: memoryMb ?? null, total_mb: totalMb, available_mb: availableMb };
}

function provisionedJson({ version, instances, availableInstances, startingInstances, state, reason }: ProvisionedConcurrency): object {
  return {
    version,
    instances,
    available_instances: availableInstances,
    starting_instances: startingInstances,
    state: nameOf(State, state),
    reason,
  };
}
