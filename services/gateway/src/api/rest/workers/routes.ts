import {
  type Agent,
  Agent_State,
  type Instance,
  Instance_State,
  type PutAsideRecord,
  type ViewPartition,
  ViewPartition_Kind,
} from '@evenfall/contracts/v1/operator_service';
import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { listPutAside } from '../../../flows/list-put-aside.ts';
import { drainAgent, listAgents, listInstances } from '../../../flows/list-workers.ts';
import { purge } from '../../../flows/purge.ts';
import { dateOf } from '../json/dates.ts';
import { nameOf } from '../json/enum-names.ts';
import { Duration, has, only, PageQuery, pageOf, ref, Time } from '../json/schemas.ts';
import { durationFrom } from '../termination/mapping.ts';
import { emptyIsObject } from '../../http/validation.ts';

const TAGS = ['operators'];
const DrainBody = Type.Object({ deadline: Type.Optional(Duration) }, { additionalProperties: false });
const PurgeBody = Type.Object(
  {
    dry_run: Type.Optional(Type.Boolean({ default: false, description: 'Drop nothing, only show what would be dropped.' })),
    time: Type.Optional({ ...Time, description: 'For a dry run: as of this time.' }),
  },
  {
    additionalProperties: false,
    ...only([{ if: has('time'), then: { required: ['dry_run'], properties: { dry_run: { const: true } } } }]),
  },
);
const Paging = Type.Object(PageQuery, { additionalProperties: false });
const Query = Type.Object({ ...PageQuery, agent_id: Type.Optional(Type.String({ maxLength: 128 })) }, { additionalProperties: false });
const pagingOf = (query: Static<typeof Paging>) => ({ pageSize: query.page_size ?? 0, pageToken: query.page_token ?? '' });

export function workerRoutes(app: FastifyInstance): void {
  app.get<{ Querystring: Static<typeof Paging> }>(
    '/v1/agents',
    {
      schema: {
        tags: TAGS,
        operationId: 'listAgents',
        summary: 'Lists worker hosts',
        querystring: Paging,
        response: { 200: pageOf('agents', 'Agent') },
      },
    },
    async ({ query, gateway }) => {
      const { agents, nextPageToken } = await listAgents(gateway, pagingOf(query));
      return { agents: agents.map(agentJson), next_page_token: nextPageToken };
    },
  );
  app.post<{ Params: { agent_id: string }; Body: Static<typeof DrainBody> }>(
    '/v1/agents/:agent_id([^:/]+)::drain',
    {
      schema: {
        tags: TAGS,
        operationId: 'drainAgent',
        summary: 'Drains a worker host: nothing new goes there, and what runs has until the deadline',
        params: Type.Object({ agent_id: Type.String() }),
        body: DrainBody,
        response: { 200: ref('Agent') },
      },
      preValidation: emptyIsObject,
    },
    async (request) => {
      const deadline = durationFrom(request.body.deadline);
      const { agent } = await drainAgent(request.gateway, { agentId: request.params.agent_id, deadline });
      return agent && agentJson(agent);
    },
  );
  app.get<{ Querystring: Static<typeof Query> }>(
    '/v1/instances',
    {
      schema: {
        tags: TAGS,
        operationId: 'listInstances',
        summary: 'Lists instances',
        querystring: Query,
        response: { 200: pageOf('instances', 'Instance') },
      },
    },
    async ({ query, gateway }) => {
      const { instances, nextPageToken } = await listInstances(gateway, { agentId: query.agent_id ?? '', ...pagingOf(query) });
      return { instances: instances.map(instanceJson), next_page_token: nextPageToken };
    },
  );
  app.get<{ Querystring: Static<typeof Paging> }>(
    '/v1/put-aside-records',
    {
      schema: {
        tags: TAGS,
        operationId: 'listPutAsideRecords',
        summary: 'Lists records of the event log that could not be read or shown',
        querystring: Paging,
        response: {
          200: Type.Object({ records: Type.Array(ref('PutAsideRecord')), total_size: Type.Integer(), next_page_token: Type.String() }),
        },
      },
    },
    async ({ query, gateway }) => {
      const { records, totalSize, nextPageToken } = await listPutAside(gateway, pagingOf(query));
      return { records: records.map(putAsideJson), total_size: Number(totalSize), next_page_token: nextPageToken };
    },
  );
  app.post<{ Body: Static<typeof PurgeBody> }>(
    '/v1/purge',
    {
      schema: {
        tags: TAGS,
        operationId: 'purge',
        summary: 'Drops what is past its retention now, or shows what a purge would drop',
        body: PurgeBody,
        response: { 200: Type.Object({ partitions: Type.Array(ref('ViewPartition')), held_back: Type.String() }) },
      },
      preValidation: emptyIsObject,
    },
    async ({ body, gateway }) => {
      const time = body.time === undefined ? undefined : dateOf('time', body.time);
      const { partitions, heldBack } = await purge(gateway, { dryRun: body.dry_run ?? false, time });
      return { partitions: partitions.map(partitionJson), held_back: heldBack };
    },
  );
}

function putAsideJson(record: PutAsideRecord): object {
  return {
    partition: record.partition,
    offset: Number(record.offset),
    event_id: record.eventId === '' ? null : record.eventId,
    attempt: record.attempt,
    change: record.change,
    reason: record.reason,
    reduced: record.reduced,
    time: record.time ?? null,
    size_bytes: Number(record.sizeBytes),
  };
}

function partitionJson(one: ViewPartition): object {
  return {
    name: one.name,
    kind: nameOf(ViewPartition_Kind, one.kind) ?? null,
    from_time: one.fromTime ?? null,
    to_time: one.toTime ?? null,
    due_time: one.dueTime ?? null,
    row_estimate: one.rowEstimate < 0n ? null : Number(one.rowEstimate),
    size_bytes: Number(one.sizeBytes),
  };
}

function agentJson(agent: Agent): object {
  return {
    id: agent.id,
    capacity_mb: agent.capacityMb,
    used_mb: agent.usedMb,
    temporary_mb: agent.temporaryMb,
    instance_count: agent.instanceCount,
    attempt_count: agent.attemptCount,
    attach_time: agent.attachTime ?? null,
    state: nameOf(Agent_State, agent.state) ?? null,
    drain_deadline_time: agent.drainDeadlineTime ?? null,
    abilities: agent.abilities.map(({ name, available, detail }) => ({ name, available, detail })),
  };
}

function instanceJson(instance: Instance): object {
  return {
    id: instance.id,
    agent_id: instance.agentId,
    namespace: instance.namespace,
    function: instance.function,
    version: instance.version,
    state: nameOf(Instance_State, instance.state) ?? null,
    event_id: instance.eventId === '' ? null : instance.eventId,
    start_time: instance.startTime ?? null,
  };
}
