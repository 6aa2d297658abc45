import { Type } from '@sinclair/typebox';
import type { FastifyRequest } from 'fastify';
import { type QuotaFlows, quotaFlows } from '../../../flows/manage-quotas.ts';
import { accessOf } from '../../http/rights.ts';
import { Paging } from '../json/fields.ts';
import { pageOf, ref } from '../json/schema.ts';
import { pageFrom } from '../json/values.ts';
import type { RestPlugin } from '../rest-plugin.ts';
import { keyQuotaJson, limitsFrom, namespaceQuotaJson, usageJson } from './mapping.ts';
import {
  KeyQuota,
  KeyQuotaBody,
  KeyQuotaInUse,
  NamespaceQuota,
  NamespaceQuotaBody,
  NamespaceQuotaInUse,
  QuotaKeyPath,
  QuotaNamespacePath,
} from './schema.ts';

const TAGS = ['quotas'];
const NAMESPACE_QUOTA = '/v1/namespaces/:namespace/quota';
const KEY_QUOTA = '/v1/access-keys/:key_id([^:/]+)/quota';

function flows(request: FastifyRequest): QuotaFlows {
  return quotaFlows(request.gateway, accessOf(request));
}

/** Limits of namespaces and keys. "*" names the default. */
export const quotaRoutes: RestPlugin = async (app, context) => {
  void app.register(namespaceRoutes, context);
  void app.register(keyRoutes, context);
};

const namespaceRoutes: RestPlugin = async (app) => {
  app.put(
    NAMESPACE_QUOTA,
    {
      schema: {
        tags: TAGS,
        operationId: 'putNamespaceQuota',
        summary: 'Sets the quota of a namespace: what is left out is not limited',
        params: QuotaNamespacePath,
        body: NamespaceQuotaBody,
        response: { 200: ref(NamespaceQuota) },
      },
    },
    async (request) => {
      const { namespace } = request.params;
      const asked = { namespace, ...limitsFrom(request.body), instances: request.body.instances, updateTime: undefined };
      const { namespaceQuota } = await flows(request).putNamespaceQuota({ namespaceQuota: asked });
      return namespaceQuota && namespaceQuotaJson(namespaceQuota);
    },
  );

  app.get(
    NAMESPACE_QUOTA,
    {
      schema: {
        tags: TAGS,
        operationId: 'getNamespaceQuota',
        summary: 'Gets the quota that applies to a namespace, and what the namespace uses',
        params: QuotaNamespacePath,
        response: { 200: ref(NamespaceQuotaInUse) },
      },
    },
    async (request) => {
      const { namespace } = request.params;
      const { namespaceQuota, isDefault, usage } = await flows(request).getNamespaceQuota({ namespace });
      return namespaceQuota && { ...namespaceQuotaJson(namespaceQuota), is_default: isDefault, usage: usage ? usageJson(usage) : null };
    },
  );

  app.delete(
    NAMESPACE_QUOTA,
    {
      schema: {
        tags: TAGS,
        operationId: 'deleteNamespaceQuota',
        summary: 'Removes the quota of a namespace; the default applies to it then',
        params: QuotaNamespacePath,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await flows(request).deleteNamespaceQuota(request.params);
      reply.code(204);
      return null;
    },
  );

  app.get(
    '/v1/namespace-quotas',
    {
      schema: {
        tags: TAGS,
        operationId: 'listNamespaceQuotas',
        summary: 'Lists the quotas of namespaces by name',
        querystring: Paging,
        response: { 200: pageOf('namespace_quotas', NamespaceQuota) },
      },
    },
    async (request) => {
      const page = await flows(request).listNamespaceQuotas(pageFrom(request.query));
      return { namespace_quotas: page.namespaceQuotas.map(namespaceQuotaJson), next_page_token: page.nextPageToken };
    },
  );
};

const keyRoutes: RestPlugin = async (app) => {
  app.put(
    KEY_QUOTA,
    {
      schema: {
        tags: TAGS,
        operationId: 'putKeyQuota',
        summary: 'Sets the quota of an access key, which may be one of the settings',
        params: QuotaKeyPath,
        body: KeyQuotaBody,
        response: { 200: ref(KeyQuota) },
      },
    },
    async (request) => {
      const asked = { keyId: request.params.key_id, ...limitsFrom(request.body), instances: undefined, updateTime: undefined };
      const { keyQuota } = await flows(request).putKeyQuota({ keyQuota: asked });
      return keyQuota && keyQuotaJson(keyQuota);
    },
  );

  app.get(
    KEY_QUOTA,
    {
      schema: {
        tags: TAGS,
        operationId: 'getKeyQuota',
        summary: 'Gets the quota that applies to an access key, and what the key uses',
        params: QuotaKeyPath,
        response: { 200: ref(KeyQuotaInUse) },
      },
    },
    async (request) => {
      const { keyQuota, isDefault, usage } = await flows(request).getKeyQuota({ keyId: request.params.key_id });
      return keyQuota && { ...keyQuotaJson(keyQuota), is_default: isDefault, usage: usage ? usageJson(usage) : null };
    },
  );

  app.delete(
    KEY_QUOTA,
    {
      schema: {
        tags: TAGS,
        operationId: 'deleteKeyQuota',
        summary: 'Removes the quota of an access key; the default applies to it then',
        params: QuotaKeyPath,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await flows(request).deleteKeyQuota({ keyId: request.params.key_id });
      reply.code(204);
      return null;
    },
  );

  app.get(
    '/v1/key-quotas',
    {
      schema: {
        tags: TAGS,
        operationId: 'listKeyQuotas',
        summary: 'Lists the quotas of access keys by id',
        querystring: Paging,
        response: { 200: pageOf('key_quotas', KeyQuota) },
      },
    },
    async (request) => {
      const page = await flows(request).listKeyQuotas(pageFrom(request.query));
      return { key_quotas: page.keyQuotas.map(keyQuotaJson), next_page_token: page.nextPageToken };
    },
  );
};
