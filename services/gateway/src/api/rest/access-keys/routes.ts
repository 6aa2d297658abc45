import { AccessKey_Role, ListAccessKeysRequest } from '@evenfall/contracts/v1/access_key_service';
import type { FastifyRequest } from 'fastify';
import { type KeyFlows, keyFlows } from '../../../flows/manage-keys.ts';
import { accessOf } from '../../http/rights.ts';
import { emptyIsObject } from '../../http/validation.ts';
import { valueOf } from '../json/enum-names.ts';
import { Paging } from '../json/fields.ts';
import { pageOf, ref } from '../json/schema.ts';
import { durationFrom, pageFrom } from '../json/values.ts';
import type { RestPlugin } from '../rest-plugin.ts';
import { keyJson, newKeyJson } from './mapping.ts';
import { AccessKey, CreateBody, KeyPath, NewAccessKey, RotateBody } from './schema.ts';

const KEYS = '/v1/access-keys';
const KEY = `${KEYS}/:key_id([^:/]+)`;
const TAGS = ['access keys'];

function flows(request: FastifyRequest): KeyFlows {
  return keyFlows(request.gateway, accessOf(request));
}

export const accessKeyRoutes: RestPlugin = async (app, context) => {
  void app.register(createRoute, context);
  void app.register(changeRoutes, context);

  app.get(
    KEYS,
    {
      schema: {
        tags: TAGS,
        operationId: 'listAccessKeys',
        summary: 'Lists access keys by id, without their secrets',
        querystring: Paging,
        response: { 200: pageOf('access_keys', AccessKey) },
      },
    },
    async (request) => {
      const page = await flows(request).listAccessKeys({ ...ListAccessKeysRequest.create(), ...pageFrom(request.query) });
      return { access_keys: page.accessKeys.map(keyJson), next_page_token: page.nextPageToken };
    },
  );

  app.get(
    KEY,
    {
      schema: {
        tags: TAGS,
        operationId: 'getAccessKey',
        summary: 'Gets an access key without its secret',
        params: KeyPath,
        response: { 200: ref(AccessKey) },
      },
    },
    async (request) => {
      const { accessKey } = await flows(request).getAccessKey({ id: request.params.key_id });
      return accessKey && keyJson(accessKey);
    },
  );
};

const createRoute: RestPlugin = async (app) => {
  app.post(
    KEYS,
    {
      schema: {
        tags: TAGS,
        operationId: 'createAccessKey',
        summary: 'Makes an access key; its secret is in this answer and in no other',
        body: CreateBody,
        response: { 201: ref(NewAccessKey) },
      },
    },
    async (request, reply) => {
      const { id = '', description = '', role, namespaces, show_payloads: showPayloads = false, scf = false } = request.body;
      request.auditedSubject = id;
      const { accessKey, secret } = await flows(request).createAccessKey({
        id,
        description,
        role: valueOf(AccessKey_Role, role),
        namespaces,
        showPayloads,
        scf,
        timeToLive: durationFrom(request.body.time_to_live),
      });
      request.auditedSubject = accessKey?.id ?? id;
      reply
        .code(201)
        .header('cache-control', 'no-store')
        .header('location', `${KEYS}/${accessKey?.id ?? ''}`);
      return accessKey && newKeyJson(accessKey, secret);
    },
  );
};

const changeRoutes: RestPlugin = async (app) => {
  app.post(
    `${KEY}::rotate`,
    {
      schema: {
        tags: TAGS,
        operationId: 'rotateAccessKey',
        summary: 'Gives an access key a new secret, which is in this answer and in no other',
        params: KeyPath,
        body: RotateBody,
        response: { 200: ref(NewAccessKey) },
      },
      preValidation: emptyIsObject,
    },
    async (request, reply) => {
      const overlap = durationFrom(request.body.overlap);
      const { accessKey, secret } = await flows(request).rotateAccessKey({ id: request.params.key_id, overlap });
      reply.header('cache-control', 'no-store');
      return accessKey && newKeyJson(accessKey, secret);
    },
  );

  app.post(
    `${KEY}::revoke`,
    {
      schema: {
        tags: TAGS,
        operationId: 'revokeAccessKey',
        summary: 'Revokes an access key for good, within a second at every gateway',
        params: KeyPath,
        response: { 200: ref(AccessKey) },
      },
    },
    async (request) => {
      const { accessKey } = await flows(request).revokeAccessKey({ id: request.params.key_id });
      return accessKey && keyJson(accessKey);
    },
  );
};
