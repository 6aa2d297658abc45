import { type AccessKey, AccessKey_Role, ListAccessKeysRequest } from '@evenfall/contracts/v1/access_key_service';
import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type KeyFlows, keyFlows } from '../../../flows/manage-keys.ts';
import { nameOf, valueOf } from '../json/enum-names.ts';
import { accessOf } from '../../http/rights.ts';
import { Duration, enumOf, NAME_OR_ALL, PageQuery, pageOf, ref, textWithoutNul } from '../json/schemas.ts';
import { durationFrom } from '../termination/mapping.ts';
import { emptyIsObject } from '../../http/validation.ts';

const KEYS = '/v1/access-keys';
const KEY = `${KEYS}/:key_id([^:/]+)`;
const TAGS = ['access keys'];
const STRICT = { additionalProperties: false } as const;
const Paging = Type.Object(PageQuery, STRICT);
const Path = Type.Object({ key_id: Type.String({ examples: ['ci'] }) });
const Create = Type.Object(
  {
    id: Type.Optional(
      Type.String({
        pattern: '^[\\w.-]{1,64}$',
        'x-rule': '1 to 64 letters, digits, ".", "_" and "-"',
        description: 'Without one it is made. It stands on receipts and in the audit log.',
      }),
    ),
    description: Type.Optional(textWithoutNul('What it is for.', 256)),
    role: enumOf(AccessKey_Role),
    namespaces: Type.Array(NAME_OR_ALL, { minItems: 1, maxItems: 100, description: 'Where it is good, or "*" alone for all.' }),
    show_payloads: Type.Optional(
      Type.Boolean({ default: false, description: 'For the role VIEWER: whether it sees payloads, results, errors and logs.' }),
    ),
    scf: Type.Optional(Type.Boolean({ default: false, description: 'Whether it can sign requests of SCF.' })),
    time_to_live: Type.Optional({ ...Duration, description: '1 s to 3,650 d; without, it does not expire.' }),
  },
  STRICT,
);
const Rotate = Type.Object(
  {
    overlap: Type.Optional({ ...Duration, description: 'How long the secret it has now is good too: up to 30 d; by default not at all.' }),
  },
  STRICT,
);

type KeyPath = { Params: Static<typeof Path> };

export function accessKeyRoutes(app: FastifyInstance): void {
  const flows = (request: FastifyRequest): KeyFlows => keyFlows(request.gateway, accessOf(request));

  app.post<{ Body: Static<typeof Create> }>(
    KEYS,
    {
      schema: {
        tags: TAGS,
        operationId: 'createAccessKey',
        summary: 'Makes an access key; its secret is in this answer and in no other',
        body: Create,
        response: { 201: ref('NewAccessKey') },
      },
    },
    async (request, reply) => {
      const {
        id = '',
        description = '',
        role,
        namespaces,
        show_payloads: showPayloads = false,
        scf = false,
        time_to_live: ttl,
      } = request.body;
      request.auditedSubject = id;
      const { accessKey, secret } = await flows(request).createAccessKey({
        id,
        description,
        role: valueOf(AccessKey_Role, role),
        namespaces,
        showPayloads,
        scf,
        timeToLive: durationFrom(ttl),
      });
      request.auditedSubject = accessKey?.id ?? id;
      reply
        .code(201)
        .header('cache-control', 'no-store')
        .header('location', `${KEYS}/${accessKey?.id ?? ''}`);
      return reply.send(accessKey && newKeyJson(accessKey, secret));
    },
  );

  app.get<{ Querystring: Static<typeof Paging> }>(
    KEYS,
    {
      schema: {
        tags: TAGS,
        operationId: 'listAccessKeys',
        summary: 'Lists access keys by id, without their secrets',
        querystring: Paging,
        response: { 200: pageOf('access_keys', 'AccessKey') },
      },
    },
    async (request) => {
      const { page_size: pageSize = 0, page_token: pageToken = '' } = request.query;
      const page = await flows(request).listAccessKeys({ ...ListAccessKeysRequest.create(), pageSize, pageToken });
      return { access_keys: page.accessKeys.map(keyJson), next_page_token: page.nextPageToken };
    },
  );

  app.get<KeyPath>(
    KEY,
    {
      schema: {
        tags: TAGS,
        operationId: 'getAccessKey',
        summary: 'Gets an access key without its secret',
        params: Path,
        response: { 200: ref('AccessKey') },
      },
    },
    async (request) => {
      const { accessKey } = await flows(request).getAccessKey({ id: request.params.key_id });
      return accessKey && keyJson(accessKey);
    },
  );

  app.post<KeyPath & { Body: Static<typeof Rotate> }>(
    `${KEY}::rotate`,
    {
      schema: {
        tags: TAGS,
        operationId: 'rotateAccessKey',
        summary: 'Gives an access key a new secret, which is in this answer and in no other',
        params: Path,
        body: Rotate,
        response: { 200: ref('NewAccessKey') },
      },
      preValidation: emptyIsObject,
    },
    async (request, reply) => {
      const overlap = durationFrom(request.body.overlap);
      const { accessKey, secret } = await flows(request).rotateAccessKey({ id: request.params.key_id, overlap });
      return reply.header('cache-control', 'no-store').send(accessKey && newKeyJson(accessKey, secret));
    },
  );

  app.post<KeyPath>(
    `${KEY}::revoke`,
    {
      schema: {
        tags: TAGS,
        operationId: 'revokeAccessKey',
        summary: 'Ends an access key for good, within a second at every door',
        params: Path,
        response: { 200: ref('AccessKey') },
      },
    },
    async (request) => {
      const { accessKey } = await flows(request).revokeAccessKey({ id: request.params.key_id });
      return accessKey && keyJson(accessKey);
    },
  );
}

function keyJson(key: AccessKey): object {
  return {
    id: key.id,
    description: key.description,
    role: nameOf(AccessKey_Role, key.role) ?? null,
    namespaces: key.namespaces,
    show_payloads: key.showPayloads,
    scf: key.scf,
    create_time: key.createTime ?? null,
    expire_time: key.expireTime ?? null,
    rotate_time: key.rotateTime ?? null,
    previous_secret_expire_time: key.previousSecretExpireTime ?? null,
    revoke_time: key.revokeTime ?? null,
  };
}

function newKeyJson(key: AccessKey, secret: string): object {
  return { access_key: keyJson(key), secret };
}
