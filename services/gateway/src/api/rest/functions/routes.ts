import type { StreamUpdateFunctionCodeRequest } from '@evenfall/contracts/v1/function_service';
import { EventInvokeConfig, FunctionMessage } from '@evenfall/contracts/v1/function';
import { refuse, type Refusal } from '@evenfall/errors';
import { type Static, type TSchema, Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyRequest, FastifySchema, FastifySchemaCompiler, RequestPayload } from 'fastify';
import { bytesOfBase64 } from '../../../domain/base64.ts';
import type { LargeBodies } from '../../../ports.ts';
import { isLarge, parseBody, partsOf, takeManyBytes } from '../../http/body-parsers.ts';
import { eventInvokeJson, functionFrom, functionJson } from './mapping.ts';
import { FunctionPatch, PatchValues, readPatch } from './patch.ts';
import { EventInvoke, FunctionCreate, FunctionPath, NamespacePath, PageQuery, pageOf, Qualifier, ref } from '../json/schemas.ts';
import { bodyUnchecked, emptyIsObject, strictValidation } from '../../http/validation.ts';

const FUNCTIONS = '/v1/namespaces/:namespace/functions';
const FUNCTION = `${FUNCTIONS}/:function([^:/]+)`;
/** Largest zipped code package (semantics §3). */
export const MAX_CODE_BYTES = 50 * 1024 * 1024;
/** The same in base64, and the rest of the body. */
const CREATE_BODY_BYTES = Math.ceil((MAX_CODE_BYTES * 4) / 3) + 1024 * 1024;
const TAGS = ['functions'];
const NOT_BASE64 = Buffer.alloc(0);
const STRICT = { additionalProperties: false } as const;
const FILTER_RULE = 'part of a name: at most 60 letters, digits, "-" and "_"';
const ListQuery = Type.Object(
  { ...PageQuery, filter: Type.Optional(Type.String({ pattern: '^[a-zA-Z0-9_-]{0,60}$', 'x-rule': FILTER_RULE })) },
  STRICT,
);
const VersionQuery = Type.Object(PageQuery, STRICT);
const GetQuery = Type.Object({ qualifier: Type.Optional(Qualifier) }, STRICT);
const Zip = Type.Unsafe<Buffer | undefined>({ type: 'string', format: 'binary', description: 'A zip file of at most 50 MB.' });
const Publish = Type.Object({ description: Type.Optional(Type.String({ maxLength: 1_000 })) }, STRICT);

type Path = { Params: Static<typeof FunctionPath> };

export function functionRoutes(app: FastifyInstance, bodies: LargeBodies): void {
  /** Packages that were taken out of large bodies, decoded. */
  const packages = new WeakMap<FastifyRequest, Buffer>();
  void app.register(async (large) => {
    large.removeAllContentTypeParsers();
    large.addContentTypeParser('application/json', async (request: FastifyRequest, payload: RequestPayload) => {
      const parts = await partsOf(request, payload);
      if (!isLarge(parts)) return parts.length === 0 ? undefined : parseBody(Buffer.concat(parts));
      const { rest, taken } = await bodies.extract(parts, { base64: ['code_zip'] });
      if (taken.has('code_zip')) packages.set(request, taken.get('code_zip') ?? NOT_BASE64);
      return JSON.parse(rest) as unknown; // that it is JSON was seen there
    });
    large.post<{ Params: Static<typeof NamespacePath>; Body: Static<typeof FunctionCreate> }>(
      FUNCTIONS,
      {
        bodyLimit: CREATE_BODY_BYTES,
        schema: {
          tags: TAGS,
          operationId: 'createFunction',
          summary: 'Creates a function',
          params: NamespacePath,
          body: FunctionCreate,
          response: { 201: ref('Function') },
        },
      },
      async (request, reply) => {
        const { namespace } = request.params;
        const { name, code_zip: code, ...settings } = request.body;
        request.auditedSubject = name;
        if (packages.get(request) === NOT_BASE64) throw notBase64();
        const { function: fn } = await request.functions.createFunction({
          function: functionFrom(namespace, name, settings),
          codeZip: packages.get(request) ?? (code === undefined ? Buffer.alloc(0) : bytesOf(code)),
        });
        reply.code(201).header('location', `/v1/namespaces/${namespace}/functions/${name}`);
        return reply.send(fn && functionJson(fn));
      },
    );
  });

  app.get<{ Params: Static<typeof NamespacePath>; Querystring: Static<typeof ListQuery> }>(
    FUNCTIONS,
    {
      schema: {
        tags: TAGS,
        operationId: 'listFunctions',
        summary: 'Lists functions by name',
        params: NamespacePath,
        querystring: ListQuery,
        response: { 200: pageOf('functions', 'Function') },
      },
    },
    async (request) => {
      const { page_size: pageSize = 0, page_token: pageToken = '', filter = '' } = request.query;
      const page = await request.functions.listFunctions({ namespace: request.params.namespace, pageSize, pageToken, filter });
      return { functions: page.functions.map(functionJson), next_page_token: page.nextPageToken };
    },
  );

  app.get<Path & { Querystring: Static<typeof GetQuery> }>(
    FUNCTION,
    {
      schema: {
        tags: TAGS,
        operationId: 'getFunction',
        summary: 'Gets a function or a version of it',
        params: FunctionPath,
        querystring: GetQuery,
        response: { 200: ref('Function') },
      },
    },
    async (request) => {
      const { namespace, function: name } = request.params;
      const { function: fn } = await request.functions.getFunction({ namespace, name, qualifier: request.query.qualifier ?? '' });
      return fn && functionJson(fn);
    },
  );

  app.patch<Path & { Body: Static<typeof PatchValues> }>(
    FUNCTION,
    {
      schema: {
        tags: TAGS,
        operationId: 'updateFunction',
        summary: 'Changes settings: those that are named, and of those the fields that are named; null goes back to the default',
        params: FunctionPath,
        body: FunctionPatch,
        response: { 200: ref('Function') },
      },
      validatorCompiler: patchValidation,
      preValidation: async (request) => {
        const { mask, values } = readPatch(request.body);
        request.updateMask = mask;
        request.body = values as Static<typeof PatchValues>; // which is checked next
      },
    },
    async (request) => {
      const { namespace, function: name } = request.params;
      const updateMask = [...request.updateMask];
      const { function: fn } =
        updateMask.length === 0
          ? await request.functions.getFunction({ namespace, name, qualifier: '' })
          : await request.functions.updateFunction({ function: functionFrom(namespace, name, request.body), updateMask });
      return fn && functionJson(fn);
    },
  );

  app.delete<Path>(
    FUNCTION,
    {
      schema: {
        tags: TAGS,
        operationId: 'deleteFunction',
        summary: 'Deletes a function and its versions',
        params: FunctionPath,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await request.functions.deleteFunction({ namespace: request.params.namespace, name: request.params.function });
      return reply.code(204).send();
    },
  );

  void app.register(async (raw) => {
    takeManyBytes(raw, 'application/zip');
    raw.put<Path & { Body: Buffer | undefined }>(
      `${FUNCTION}/code`,
      {
        bodyLimit: MAX_CODE_BYTES,
        config: { bodyKind: 'code' },
        validatorCompiler: bodyUnchecked,
        schema: {
          tags: TAGS,
          operationId: 'updateFunctionCode',
          summary: 'Replaces the code; the body is a zip file',
          params: FunctionPath,
          body: { content: { 'application/zip': { schema: Zip } } },
          response: { 200: ref('Function') },
        },
      },
      async (request) => {
        const { namespace, function: name } = request.params;
        const { function: fn } = await request.functions.streamUpdateFunctionCode(
          inPieces(namespace, name, request.body ?? Buffer.alloc(0)),
        );
        return fn && functionJson(fn);
      },
    );
  });

  app.put<Path & { Body: Static<typeof EventInvoke> }>(
    `${FUNCTION}/event-invoke-config`,
    {
      schema: {
        tags: TAGS,
        operationId: 'putEventInvokeConfig',
        summary: 'Sets how events are retried and aged, and who is told of their end',
        params: FunctionPath,
        body: EventInvoke,
        response: { 200: EventInvoke },
      },
    },
    async (request) => {
      const { namespace, function: name } = request.params;
      const wanted = functionFrom(namespace, name, { event_invoke: request.body });
      const { function: fn } = await request.functions.updateFunction({ function: wanted, updateMask: ['event_invoke'] });
      return eventInvokeOf(fn);
    },
  );

  app.get<Path>(
    `${FUNCTION}/event-invoke-config`,
    {
      schema: {
        tags: TAGS,
        operationId: 'getEventInvokeConfig',
        summary: 'Says how events are retried and aged, and who is told of their end',
        params: FunctionPath,
        response: { 200: EventInvoke },
      },
    },
    async (request) => {
      const { namespace, function: name } = request.params;
      return eventInvokeOf((await request.functions.getFunction({ namespace, name, qualifier: '' })).function);
    },
  );

  app.post<Path & { Body: Static<typeof Publish> }>(
    `${FUNCTION}/versions`,
    {
      schema: {
        tags: TAGS,
        operationId: 'publishFunctionVersion',
        summary: 'Publishes $LATEST as the next version',
        params: FunctionPath,
        body: Publish,
        response: { 201: ref('Function') },
      },
      preValidation: emptyIsObject,
    },
    async (request, reply) => {
      const { namespace, function: name } = request.params;
      const { function: fn } = await request.functions.publishFunctionVersion({
        namespace,
        name,
        description: request.body.description ?? '',
      });
      return reply.code(201).send(fn && functionJson(fn));
    },
  );

  app.get<Path & { Querystring: Static<typeof VersionQuery> }>(
    `${FUNCTION}/versions`,
    {
      schema: {
        tags: TAGS,
        operationId: 'listFunctionVersions',
        summary: 'Lists versions, newest first',
        params: FunctionPath,
        querystring: VersionQuery,
        response: { 200: pageOf('versions', 'Function') },
      },
    },
    async (request) => {
      const { namespace, function: name } = request.params;
      const { page_size: pageSize = 0, page_token: pageToken = '' } = request.query;
      const page = await request.functions.listFunctionVersions({ namespace, name, pageSize, pageToken });
      return { versions: page.functions.map(functionJson), next_page_token: page.nextPageToken };
    },
  );
}

/** The document shows where null may be; what is checked has none left. */
const patchValidation: FastifySchemaCompiler<FastifySchema> = (route) =>
  strictValidation({ ...route, schema: route.httpPart === 'body' ? PatchValues : (route.schema as TSchema) }); // one part of the schema

function eventInvokeOf(fn: FunctionMessage | undefined): object {
  return eventInvokeJson((fn ?? FunctionMessage.create()).eventInvoke ?? EventInvokeConfig.create());
}

function notBase64(): Refusal {
  return refuse('INVALID_FIELD', { field: 'code_zip', rule: 'a zip file in base64' });
}

function bytesOf(base64: string): Buffer {
  const bytes = bytesOfBase64(base64);
  if (!bytes) throw notBase64();
  return bytes;
}

const PIECE_BYTES = 1024 * 1024;

/** A package as the registry takes it: no message is so large that it holds the loop of either service. At least one piece. */
async function* inPieces(namespace: string, name: string, code: Buffer): AsyncGenerator<StreamUpdateFunctionCodeRequest> {
  let at = 0;
  do {
    yield { namespace, name, chunk: code.subarray(at, at + PIECE_BYTES) };
    at += PIECE_BYTES;
  } while (at < code.length);
}
