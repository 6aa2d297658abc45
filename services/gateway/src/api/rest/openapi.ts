import swagger from '@fastify/swagger';
import { type TSchema, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { AccessKey, NewAccessKey } from './access-keys/schema.ts';
import { AgentToken, NewAgentToken } from './agent-tokens/schema.ts';
import { AuditRecord } from './audit/schema.ts';
import { ProvisionedConcurrency, ReservedConcurrency } from './concurrency/schema.ts';
import { DeadLetter } from './dead-letters/schema.ts';
import { Attempt, Delivery, Event } from './events/schema.ts';
import { FunctionAnswer } from './functions/schema.ts';
import { Invocation } from './invocations/schema.ts';
import { named, type Named, ref } from './json/schema.ts';
import { LogLine } from './logs/schema.ts';
import { KeyQuota, KeyQuotaInUse, NamespaceQuota, NamespaceQuotaInUse } from './quotas/schema.ts';
import { PutAsideRecord, ViewPartition } from './retention/schema.ts';
import { Termination } from './termination/schema.ts';
import { Agent, Instance } from './workers/schema.ts';

const ErrorAnswer = named(
  'Error',
  Type.Object({
    error: Type.Object({
      code: Type.Integer({ description: 'The HTTP status.' }),
      status: Type.String({ description: 'The name of the gRPC code.' }),
      message: Type.String(),
      details: Type.Array(
        Type.Object({ reason: Type.String(), domain: Type.Literal('evenfall'), metadata: Type.Record(Type.String(), Type.String()) }),
      ),
    }),
  }),
);

/** The schemas that the document lists by name, in its order. */
const NAMED: readonly Named<TSchema>[] = [
  ErrorAnswer,
  FunctionAnswer,
  ReservedConcurrency,
  ProvisionedConcurrency,
  Attempt,
  Termination,
  Delivery,
  Event,
  DeadLetter,
  Invocation,
  LogLine,
  ViewPartition,
  PutAsideRecord,
  Agent,
  AgentToken,
  NewAgentToken,
  AccessKey,
  NewAccessKey,
  NamespaceQuota,
  NamespaceQuotaInUse,
  KeyQuota,
  KeyQuotaInUse,
  AuditRecord,
  Instance,
];

/** Operations for which a request without a body is one with an empty body. */
const BODY_IS_OPTIONAL = new Set([
  'createEvent',
  'invokeFunction',
  'terminateEvent',
  'publishFunctionVersion',
  'drainAgent',
  'purge',
  'rotateAccessKey',
  'createAgentToken',
]);
const TAGS = [
  { name: 'functions', description: 'Functions, versions, code, concurrency.' },
  { name: 'events', description: 'Asynchronous events: accept, read, watch, terminate.' },
  { name: 'dead letters', description: 'Events that failed for good.' },
  { name: 'invocations', description: 'Synchronous calls.' },
  { name: 'logs', description: 'What functions wrote.' },
  { name: 'operators', description: 'Worker hosts, instances, retention.' },
  { name: 'access keys', description: 'Who may do what.' },
  { name: 'quotas', description: 'How much namespaces and access keys may use.' },
  { name: 'audit', description: 'Who changed what.' },
];

const NO_QUERY = Type.Object({}, { additionalProperties: false });

type Operation = { readonly operationId?: string; requestBody?: { required?: boolean } };

/** Keeps the OpenAPI document of all routes that are added from now on: their schemas, and the error that every one of them may answer. */
export async function describeApi(app: FastifyInstance): Promise<void> {
  for (const schema of NAMED) app.addSchema(schema);
  app.addHook('onRoute', (route) => {
    const { schema } = route;
    if (!schema || schema.hide) return;
    const refused = { description: 'A refusal, with its reasons.', content: { 'application/json': { schema: ref(ErrorAnswer) } } };
    const failed = { description: 'It cannot be answered now, or a failure of the platform.', content: refused.content };
    // A route without query parameters refuses all of them, as one with some refuses the others.
    route.schema = { querystring: NO_QUERY, ...schema, response: { ...(schema.response as object), '4xx': refused, '5xx': failed } }; // by status
  });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Evenfall',
        version: 'v1',
        description:
          'Runs functions asynchronously and ends them well. Every call carries an access key: `Authorization: Bearer id:secret`.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/', description: 'The server that this document comes from.' }],
      tags: TAGS,
      components: {
        securitySchemes: {
          key: {
            type: 'http',
            scheme: 'bearer',
            description: 'An access key as `id:secret`, or a token of the issuer in the settings. Probes and pages need none.',
          },
        },
      },
      security: [{ key: [] }],
    },
    refResolver: { buildLocalReference: (json, _base, _fragment, i) => (typeof json['$id'] === 'string' ? json['$id'] : `def-${i}`) },
    transformObject: (document) => {
      if (!('openapiObject' in document)) return document.swaggerObject;
      for (const path of Object.values(document.openapiObject.paths ?? {})) {
        for (const operation of Object.values(path ?? {}) as Operation[]) {
          // The plugin calls every body required.
          if (operation.requestBody && BODY_IS_OPTIONAL.has(operation.operationId ?? '')) operation.requestBody.required = false;
        }
      }
      return document.openapiObject;
    },
  });
}
