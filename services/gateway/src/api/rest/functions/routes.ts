import type { StreamUpdateFunctionCodeRequest } from '@evenfall/contracts/v1/function_service';
import { EventInvokeConfig, FunctionMessage } from '@evenfall/contracts/v1/function';
import { refuse, type Refusal } from '@evenfall/errors';
import { PACKAGE_LIMITS } from '@evenfall/function-model';
import { type Static, type TSchema, Type } from '@sinclair/typebox';
import type { FastifyRequest, FastifySchema, FastifySchemaCompiler, RequestPayload } from 'fastify';
import { bytesOfBase64, CODE_REQUEST_BYTES } from '../../../domain/code-package.ts';
import { isLarge, parseBody, receiveParts, keepLargeBodyBytes } from '../../http/body-parsers.ts';
import { bodyUnchecked, emptyIsObject, strictValidation } from '../../http/validation.ts';
import { FUNCTION_PATH, FunctionPath, NamespacePath, PageQuery, Paging, Qualifier } from '../json/fields.ts';
import { pageOf, ref, STRICT } from '../json/schema.ts';
import { pageFrom } from '../json/values.ts';
import type { RestPlugin } from '../rest-plugin.ts';
import { eventInvokeJson, functionFrom, functionJson } from './mapping.ts';
import { FunctionPatch, PatchValues, readPatch } from './patch.ts';
import { EventInvoke, FunctionAnswer, FunctionCreate, functionFields } from './schema.ts';

const FUNCTIONS = '/v1/namespaces/:namespace/functions';
const TAGS = ['functions'];
const NOT_BASE64 = Buffer.alloc(0);
const FILTER_RULE = 'part of a name: at most 60 letters, digits, "-" and "_"';
const ListQuery = Type.Object(
  { ...PageQuery, filter: Type.Optional(Type.String({ pattern: '^[a-zA-Z0-9_-]{0,60}$', 'x-rule': FILTER_RULE })) },
  STRICT,
);
const GetQuery = Type.Object({ qualifier: Type.Optional(Qualifier) }, STRICT);
const Zip = { type: 'string', format: 'binary', description: 'A zip file of at most 50 MB.' };
const ZipBody = Type.Unsafe<Buffer | undefined>({ content: { 'application/zip': { schema: Zip } } });
const Publish = Type.Object({ description: functionFields.description }, STRICT);

export const functionRoutes: RestPlugin = async (app, context) => {
  void app.register(createRoute, context);
  void app.register(codeRoute, context);
  void app.register(eventInvokeRoutes, context);
  void app.register(versionRoutes, context);

  app.get(
    FUNCTIONS,
    {
      schema: {
        tags: TAGS,
        operationId: 'listFunctions',
        summary: 'Lists functions by name',
        params: NamespacePath,
        querystring: ListQuery,
        response: { 200: pageOf('functions', FunctionAnswer) },
      },
    },
    async ({ functions, params, query }) => {
      const page = await functions.listFunctions({ namespace: params.namespace, ...pageFrom(query), filter: query.filter ?? '' });
      return { functions: page.functions.map(functionJson), next_page_token: page.nextPageToken };
    },
  );

  app.get(
    FUNCTION_PATH,
    {
      schema: {
        tags: TAGS,
        operationId: 'getFunction',
        summary: 'Gets a function or a version of it',
        params: FunctionPath,
        querystring: GetQuery,
        response: { 200: ref(FunctionAnswer) },
      },
    },
    async (request) => {
      const { namespace, function: name } = request.params;
      const { function: fn } = await request.functions.getFunction({ namespace, name, qualifier: request.query.qualifier ?? '' });
      return fn && functionJson(fn);
    },
  );

  addUpdateRoute(app);

  app.delete(
    FUNCTION_PATH,
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
      reply.code(204);
      return null;
    },
  );
};

function addUpdateRoute(app: Parameters<RestPlugin>[0]): void {
  app.patch(
    FUNCTION_PATH,
    {
      schema: {
        tags: TAGS,
        operationId: 'updateFunction',
        summary: 'Changes settings: those that are named, and of those the fields that are named; null goes back to the default',
        params: FunctionPath,
        body: FunctionPatch,
        response: { 200: ref(FunctionAnswer) },
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
}

const createRoute: RestPlugin = async (app, { gateway: { bodies } }) => {
  /** Packages that were taken out of large bodies, decoded. */
  const packages = new WeakMap<FastifyRequest['raw'], Buffer>();
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', async (request: FastifyRequest, payload: RequestPayload) => {
    const parts = await receiveParts(request, payload);
    if (!isLarge(parts)) return parts.length === 0 ? undefined : parseBody(Buffer.concat(parts));
    const { rest, taken } = await bodies.extract(parts, { base64: ['code_zip'] });
    if (taken.has('code_zip')) packages.set(request.raw, taken.get('code_zip') ?? NOT_BASE64);
    return JSON.parse(rest) as unknown; // the thread that extracted it has checked that it is JSON
  });
  app.post(
    FUNCTIONS,
    {
      bodyLimit: CODE_REQUEST_BYTES,
      schema: {
        tags: TAGS,
        operationId: 'createFunction',
        summary: 'Creates a function',
        params: NamespacePath,
        body: FunctionCreate,
        response: { 201: ref(FunctionAnswer) },
      },
    },
    async (request, reply) => {
      const { namespace } = request.params;
      const { name, code_zip: code, ...settings } = request.body;
      request.auditedSubject = name;
      const extracted = packages.get(request.raw);
      if (extracted === NOT_BASE64) throw notBase64();
      const codeZip = extracted ?? (code === undefined ? Buffer.alloc(0) : bytesOfBase64(code));
      if (!codeZip) throw notBase64();
      const { function: fn } = await request.functions.createFunction({ function: functionFrom(namespace, name, settings), codeZip });
      reply.code(201).header('location', `/v1/namespaces/${namespace}/functions/${name}`);
      return fn && functionJson(fn);
    },
  );
};

const codeRoute: RestPlugin = async (app) => {
  keepLargeBodyBytes(app, 'application/zip');
  app.put(
    `${FUNCTION_PATH}/code`,
    {
      bodyLimit: PACKAGE_LIMITS.maxZipBytes,
      config: { bodyKind: 'code' },
      validatorCompiler: bodyUnchecked,
      schema: {
        tags: TAGS,
        operationId: 'updateFunctionCode',
        summary: 'Replaces the code; the body is a zip file',
        params: FunctionPath,
        body: ZipBody,
        response: { 200: ref(FunctionAnswer) },
      },
    },
    async (request) => {
      const { namespace, function: name } = request.params;
      const { function: fn } = await request.functions.streamUpdateFunctionCode(inPieces(namespace, name, request.body ?? Buffer.alloc(0)));
      return fn && functionJson(fn);
    },
  );
};

const eventInvokeRoutes: RestPlugin = async (app) => {
  app.put(
    `${FUNCTION_PATH}/event-invoke-config`,
    {
      schema: {
        tags: TAGS,
        operationId: 'putEventInvokeConfig',
        summary: 'Sets how events are retried and aged, and which destinations are notified of their end',
        params: FunctionPath,
        body: EventInvoke,
        response: { 200: EventInvoke },
      },
    },
    async (request) => {
      const { namespace, function: name } = request.params;
      const changed = functionFrom(namespace, name, { event_invoke: request.body });
      const { function: fn } = await request.functions.updateFunction({ function: changed, updateMask: ['event_invoke'] });
      return eventInvokeOf(fn);
    },
  );

  app.get(
    `${FUNCTION_PATH}/event-invoke-config`,
    {
      schema: {
        tags: TAGS,
        operationId: 'getEventInvokeConfig',
        summary: 'Shows how events are retried and aged, and which destinations are notified of their end',
        params: FunctionPath,
        response: { 200: EventInvoke },
      },
    },
    async (request) => {
      const { namespace, function: name } = request.params;
      return eventInvokeOf((await request.functions.getFunction({ namespace, name, qualifier: '' })).function);
    },
  );
};

const versionRoutes: RestPlugin = async (app) => {
  app.post(
    `${FUNCTION_PATH}/versions`,
    {
      schema: {
        tags: TAGS,
        operationId: 'publishFunctionVersion',
        summary: 'Publishes $LATEST as the next version',
        params: FunctionPath,
        body: Publish,
        response: { 201: ref(FunctionAnswer) },
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
      reply.code(201);
      return fn && functionJson(fn);
    },
  );

  app.get(
    `${FUNCTION_PATH}/versions`,
    {
      schema: {
        tags: TAGS,
        operationId: 'listFunctionVersions',
        summary: 'Lists versions, newest first',
        params: FunctionPath,
        querystring: Paging,
        response: { 200: pageOf('versions', FunctionAnswer) },
      },
    },
    async (request) => {
      const { namespace, function: name } = request.params;
      const page = await request.functions.listFunctionVersions({ namespace, name, ...pageFrom(request.query) });
      return { versions: page.functions.map(functionJson), next_page_token: page.nextPageToken };
    },
  );
};

/** The document shows which fields may be null; the check is of the values, which have no null left. */
const patchValidation: FastifySchemaCompiler<FastifySchema> = (route) =>
  strictValidation({ ...route, schema: route.httpPart === 'body' ? PatchValues : (route.schema as TSchema) }); // one part of the schema

function eventInvokeOf(fn: FunctionMessage | undefined): Static<typeof EventInvoke> {
  return eventInvokeJson((fn ?? FunctionMessage.create()).eventInvoke ?? EventInvokeConfig.create());
}

function notBase64(): Refusal {
  return refuse('INVALID_FIELD', { field: 'code_zip', rule: 'a zip file in base64' });
}

const PIECE_BYTES = 1024 * 1024;

/** A package as the registry accepts it, in pieces: a message as large as the package would hold the event loop of either service. At least one piece. */
async function* inPieces(namespace: string, name: string, code: Buffer): AsyncGenerator<StreamUpdateFunctionCodeRequest> {
  let at = 0;
  do {
    yield { namespace, name, chunk: code.subarray(at, at + PIECE_BYTES) };
    at += PIECE_BYTES;
  } while (at < code.length);
}
