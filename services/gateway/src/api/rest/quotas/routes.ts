import {
  type KeyQuota,
  type KeyUsage,
  type ListKeyQuotasRequest,
  type NamespaceQuota,
  type NamespaceUsage,
  type RateLimit,
} from '@evenfall/contracts/v1/quota_service';
import { refuse } from '@evenfall/errors';
import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type QuotaFlows, quotaFlows } from '../../../flows/manage-quotas.ts';
import { accessOf } from '../../http/rights.ts';
import { has, NAME_OR_ALL, only, PageQuery, pageOf, ref } from '../json/schemas.ts';

const TAGS = ['quotas'];
const STRICT = { additionalProperties: false } as const;
/** A burst without a rate would limit nothing. */
const BODY = { ...STRICT, ...only([{ if: has('burst'), then: has('events_per_second') }]) };
const OF_NAMESPACE = '/v1/namespaces/:namespace/quota';
const OF_KEY = '/v1/access-keys/:key_id([^:/]+)/quota';
const MAX_COUNT = 1_000_000_000;
const count = (description: string, maximum = MAX_COUNT) => Type.Optional(Type.Integer({ minimum: 0, maximum, description }));
const RATE = {
  events_per_second: count('Events, and synchronous calls, a second; 0 for none at all.', 1_000_000),
  burst: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 10_000_000, description: 'Events that may come at once; by default those of one second.' }),
  ),
};
const NamespaceBody = Type.Object(
  {
    ...RATE,
    queued_events: count('Events that wait to start.'),
    functions: count('Functions.'),
    versions: count('Published versions of all functions.'),
    code_bytes: count('Bytes of code packages, each once.', Number.MAX_SAFE_INTEGER),
    instances: count('Instances at the same time.'),
  },
  BODY,
);
/** Without instances: one runs events of every key, so it counts for its namespace alone. */
const KeyBody = Type.Object(
  {
    ...RATE,
    queued_events: count('Events sent with it that wait to start.'),
    functions: count('Functions created with it.'),
    versions: count('Versions published with it.'),
    code_bytes: count('Bytes of code packages uploaded with it, each once.', Number.MAX_SAFE_INTEGER),
  },
  BODY,
);
const Paging = Type.Object(PageQuery, STRICT);
const NamespacePath = Type.Object({ namespace: NAME_OR_ALL });
const KeyPath = Type.Object({
  key_id: Type.String({
    pattern: '^(\\*|[\\w.-]{1,64})$',
    'x-rule': '"*", or 1 to 64 letters, digits, ".", "_" and "-"',
    examples: ['ci'],
  }),
});

type OfNamespace = { Params: Static<typeof NamespacePath> };
type OfKey = { Params: Static<typeof KeyPath> };

/** Limits of namespaces and keys. "*" names the default. */
export function quotaRoutes(app: FastifyInstance): void {
  const flows = (request: FastifyRequest): QuotaFlows => quotaFlows(request.gateway, accessOf(request));

  app.put<OfNamespace & { Body: Static<typeof NamespaceBody> }>(
    OF_NAMESPACE,
    {
      schema: {
        tags: TAGS,
        operationId: 'putNamespaceQuota',
        summary: 'Sets the quota of a namespace: what is left out is not limited',
        params: NamespacePath,
        body: NamespaceBody,
        response: { 200: ref('NamespaceQuota') },
      },
    },
    async (request) => {
      const { namespace } = request.params;
      const asked = { namespace, ...limitsFrom(request.body), instances: request.body.instances, updateTime: undefined };
      const { namespaceQuota } = await flows(request).putNamespaceQuota({ namespaceQuota: asked });
      return namespaceQuota && namespaceQuotaJson(namespaceQuota);
    },
  );

  app.get<OfNamespace>(
    OF_NAMESPACE,
    {
      schema: {
        tags: TAGS,
        operationId: 'getNamespaceQuota',
        summary: 'Gets the quota that holds for a namespace, and what the namespace uses',
        params: NamespacePath,
        response: { 200: ref('NamespaceQuotaInUse') },
      },
    },
    async (request) => {
      const { namespace } = request.params;
      const { namespaceQuota, isDefault, usage } = await flows(request).getNamespaceQuota({ namespace });
      return namespaceQuota && { ...namespaceQuotaJson(namespaceQuota), is_default: isDefault, usage: usage ? usageJson(usage) : null };
    },
  );

  app.delete<OfNamespace>(
    OF_NAMESPACE,
    {
      schema: {
        tags: TAGS,
        operationId: 'deleteNamespaceQuota',
        summary: 'Takes the quota of a namespace away; the default holds for it then',
        params: NamespacePath,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await flows(request).deleteNamespaceQuota(request.params);
      return reply.code(204).send();
    },
  );

  app.get<{ Querystring: Static<typeof Paging> }>(
    '/v1/namespace-quotas',
    {
      schema: {
        tags: TAGS,
        operationId: 'listNamespaceQuotas',
        summary: 'Lists the quotas of namespaces by name',
        querystring: Paging,
        response: { 200: pageOf('namespace_quotas', 'NamespaceQuota') },
      },
    },
    async (request) => {
      const page = await flows(request).listNamespaceQuotas(pageFrom(request.query));
      return { namespace_quotas: page.namespaceQuotas.map(namespaceQuotaJson), next_page_token: page.nextPageToken };
    },
  );
  keyQuotaRoutes(app, flows);
}

function keyQuotaRoutes(app: FastifyInstance, flows: (request: FastifyRequest) => QuotaFlows): void {
  app.put<OfKey & { Body: Static<typeof KeyBody> }>(
    OF_KEY,
    {
      schema: {
        tags: TAGS,
        operationId: 'putKeyQuota',
        summary: 'Sets the quota of an access key, which may be one of the settings',
        params: KeyPath,
        body: KeyBody,
        response: { 200: ref('KeyQuota') },
      },
    },
    async (request) => {
      const asked = { keyId: request.params.key_id, ...limitsFrom(request.body), instances: undefined, updateTime: undefined };
      const { keyQuota } = await flows(request).putKeyQuota({ keyQuota: asked });
      return keyQuota && keyQuotaJson(keyQuota);
    },
  );

  app.get<OfKey>(
    OF_KEY,
    {
      schema: {
        tags: TAGS,
        operationId: 'getKeyQuota',
        summary: 'Gets the quota that holds for an access key, and what the key uses',
        params: KeyPath,
        response: { 200: ref('KeyQuotaInUse') },
      },
    },
    async (request) => {
      const { keyQuota, isDefault, usage } = await flows(request).getKeyQuota({ keyId: request.params.key_id });
      return keyQuota && { ...keyQuotaJson(keyQuota), is_default: isDefault, usage: usage ? usageJson(usage) : null };
    },
  );

  app.delete<OfKey>(
    OF_KEY,
    {
      schema: {
        tags: TAGS,
        operationId: 'deleteKeyQuota',
        summary: 'Takes the quota of an access key away; the default holds for it then',
        params: KeyPath,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await flows(request).deleteKeyQuota({ keyId: request.params.key_id });
      return reply.code(204).send();
    },
  );

  app.get<{ Querystring: Static<typeof Paging> }>(
    '/v1/key-quotas',
    {
      schema: {
        tags: TAGS,
        operationId: 'listKeyQuotas',
        summary: 'Lists the quotas of access keys by id',
        querystring: Paging,
        response: { 200: pageOf('key_quotas', 'KeyQuota') },
      },
    },
    async (request) => {
      const page = await flows(request).listKeyQuotas(pageFrom(request.query));
      return { key_quotas: page.keyQuotas.map(keyQuotaJson), next_page_token: page.nextPageToken };
    },
  );
}

function pageFrom({ page_size: pageSize = 0, page_token: pageToken = '' }: Static<typeof Paging>): ListKeyQuotasRequest {
  return { pageSize, pageToken };
}

/** What quotas of both kinds limit. */
function limitsFrom(body: Static<typeof KeyBody>): Omit<KeyQuota, 'keyId' | 'instances' | 'updateTime'> {
  return {
    rate: rateFrom(body),
    queuedEvents: body.queued_events === undefined ? undefined : BigInt(body.queued_events),
    functions: body.functions,
    versions: body.versions,
    codeBytes: body.code_bytes === undefined ? undefined : BigInt(body.code_bytes),
  };
}

function rateFrom({ events_per_second: eventsPerSecond, burst }: Static<typeof KeyBody>): RateLimit | undefined {
  if (eventsPerSecond === undefined && burst !== undefined)
    throw refuse('INVALID_FIELD', { field: 'burst', rule: 'together with events_per_second' });
  return eventsPerSecond === undefined ? undefined : { eventsPerSecond, burst };
}

function rateJson(rate: RateLimit | undefined): object {
  return { events_per_second: rate?.eventsPerSecond ?? null, burst: rate?.burst ?? null };
}

function limitsJson(quota: NamespaceQuota | KeyQuota): object {
  return {
    ...rateJson(quota.rate),
    queued_events: quota.queuedEvents === undefined ? null : Number(quota.queuedEvents),
    functions: quota.functions ?? null,
    versions: quota.versions ?? null,
    code_bytes: quota.codeBytes === undefined ? null : Number(quota.codeBytes),
  };
}

function namespaceQuotaJson(quota: NamespaceQuota): object {
  const { namespace, instances, updateTime } = quota;
  return { namespace, ...limitsJson(quota), instances: instances ?? null, update_time: updateTime ?? null };
}

function usageJson({ functions, versions, codeBytes }: NamespaceUsage | KeyUsage): object {
  return { functions, versions, code_bytes: Number(codeBytes) };
}

function keyQuotaJson(quota: KeyQuota): object {
  return { key_id: quota.keyId, ...limitsJson(quota), update_time: quota.updateTime ?? null };
}
