// A key that ends while a request of it is under way: whatever is still missing of the request comes too late.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http';
import { before, beforeEach, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { AccessKey_Role } from '@evenfall/contracts/v1/access_key_service';
import { EventServiceService, type StreamCreateEventsRequest } from '@evenfall/contracts/v1/event_service';
import { FunctionServiceService, type StreamUpdateFunctionCodeRequest } from '@evenfall/contracts/v1/function_service';
import { grpcClient } from '@evenfall/rpc';
import { eventually } from '@evenfall/testkit';
import { openApis } from '../testing/harness.ts';
import { bearerOf, keptKey, signingKey } from '../testing/keys.ts';
import { tc3Headers } from '../testing/tc3.ts';

const FUNCTION = '/v1/namespaces/default/functions/killer';
const LINES = { 'content-type': 'application/x-ndjson' };
type Document = { readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly requestBody?: unknown }>>>> };

/** Ways a secret stops to be good. */
const ENDS = {
  'is revoked': (id: string) => ({ ...keptKey({ id, revokeTime: new Date() }), secretSha256: Buffer.alloc(0) }),
  'has expired': (id: string) => keptKey({ id, role: AccessKey_Role.ADMIN, expireTime: new Date(Date.now() - 1_000) }),
  'has a new secret': (id: string) => keptKey({ id, role: AccessKey_Role.ADMIN, scf: true }, 'its-new-secret'),
  'had a secret beside its new one, until now': (id: string) => ({
    ...keptKey({ id, role: AccessKey_Role.ADMIN, scf: true, previousSecretExpireTime: new Date(Date.now() - 1_000) }, 'its-new-secret'),
    previousSha256: keptKey({ id }).secretSha256,
  }),
} as const;

for (const [words, ended] of Object.entries(ENDS))
  describe(`what a key sends that ${words}`, () => {
    const apis = openApis();
    let id = '';
    let number = 0;

    before(() => eventually(() => apis.world.keyWatches.length > 0));
    beforeEach(async () => {
      id = `key-${++number}`;
      const key = keptKey({ id, role: AccessKey_Role.ADMIN, scf: true });
      for (const watch of apis.world.keyWatches) watch.push({ keys: [key], isComplete: false });
      await eventually(async () => (await fetch(`${apis.url}/v1/agents`, { headers: bearerOf(id) })).status === 200);
    });
    const end = async (): Promise<void> => {
      for (const watch of apis.world.keyWatches) watch.push({ keys: [ended(id)], isComplete: false });
      await setImmediate();
      assert.equal((await fetch(`${apis.url}/v1/agents`, { headers: bearerOf(id) })).status, 401);
    };
    /** Sends the head, and once that was taken some of the body. */
    const begin = async (method: string, path: string, part: string, headers: Record<string, string> = {}): Promise<ClientRequest> => {
      const sent = { 'evenfall-client': 'test', ...bearerOf(id), expect: '100-continue', ...headers };
      const request = httpRequest(apis.url + path, { method, headers: sent });
      request.on('error', () => undefined); // hung up on
      request.flushHeaders();
      await once(request, 'continue'); // the key was good
      request.write(part);
      return request;
    };
    const read = async (response: IncomingMessage): Promise<string> => {
      let text = '';
      try {
        for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
      } catch {
        return `${text}(cut)`;
      }
      return text;
    };
    const traces = () => {
      const { accepted, codes, updates, terminations, invocations } = apis.world;
      return [accepted.length, codes.length, updates.length, terminations.length, invocations.length];
    };

    it('does nothing where its body ends too late: every operation that has one', async () => {
      const document = (await (await fetch(`${apis.url}/openapi.json`, { headers: bearerOf(id) })).json()) as Document;
      const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
        Object.entries(methods).flatMap(([method, { requestBody }]) => (requestBody === undefined ? [] : [{ path, method }])),
      );
      assert.ok(operations.length >= 10);
      const before = traces();
      const requests = await Promise.all(
        operations.map(async ({ path, method }) => {
          const url = path
            .replace('{namespace}', 'default')
            .replace('{function}', 'killer')
            .replace(/\{\w+_id\}/, 'key-0');
          const type = path.endsWith('/code') ? 'application/zip' : 'application/json';
          return { path, request: await begin(method.toUpperCase(), url, '{', { 'content-type': type }) };
        }),
      );
      await end();
      for (const { path, request } of requests) {
        const answered = once(request, 'response') as Promise<[IncomingMessage]>;
        request.end('}');
        const [response] = await answered;
        assert.equal(response.statusCode, 401, `${path} ${await read(response)}`);
      }
      assert.deepEqual(traces(), before);
    });

    it('does nothing as the last line of many', async () => {
      const request = await begin('POST', `${FUNCTION}/events:batchCreate`, '{"payload":1}\n{"payload":2}', LINES);
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      await eventually(() => apis.world.accepted.length === 1);
      await end();
      const text = read(response);
      request.end('\n{"payload":3}\n{"payload":4}');
      assert.match(await text, /^\{"id":"[\w-]+"\}\n\(cut\)$/);
      assert.equal(apis.world.accepted.length, 1);
    });

    it('does nothing signed, as JSON', async () => {
      const body = JSON.stringify({ FunctionName: 'killer', Description: 'too late' });
      const signed = tc3Headers({ ...signingKey(id), host: new URL(apis.url).host, body });
      const head = { ...signed, 'x-tc-action': 'UpdateFunctionConfiguration', 'x-tc-version': '2018-04-16' };
      const request = await begin('POST', '/', body.slice(0, 3), { ...head, 'content-length': String(body.length) });
      const before = traces();
      await end();
      const answered = once(request, 'response') as Promise<[IncomingMessage]>;
      request.end(body.slice(3));
      assert.match(await read((await answered)[0]), /AuthFailure\.SignatureFailure/);
      assert.deepEqual(traces(), before);
    });

    it('does nothing where the end of a stream over gRPC comes too late', async () => {
      const address = `127.0.0.1:${apis.gateway.grpcPort}`;
      const functions = grpcClient(FunctionServiceService, address, { headers: bearerOf(id) });
      const events = grpcClient(EventServiceService, address, { headers: bearerOf(id) });
      const gate = Promise.withResolvers<undefined>();
      async function* code(): AsyncGenerator<StreamUpdateFunctionCodeRequest> {
        yield { namespace: 'default', name: 'killer', chunk: Buffer.from('code') };
        await gate.promise;
      }
      async function* batches(): AsyncGenerator<StreamCreateEventsRequest> {
        const batch = { namespace: 'default', function: 'killer', qualifier: '' };
        yield { batch: { ...batch, submissions: [{ payload: Buffer.from('1'), idempotencyKey: '', delay: undefined }] } };
        await gate.promise;
        yield { batch: { ...batch, submissions: [{ payload: Buffer.from('2'), idempotencyKey: '', delay: undefined }] } };
      }
      const codes = apis.world.codes.length;
      const refused = [
        assert.rejects(functions.client.streamUpdateFunctionCode(code()), { reason: 'UNAUTHENTICATED' }),
        assert.rejects(events.client.streamCreateEvents(batches()), { reason: 'UNAUTHENTICATED' }),
      ];
      await eventually(() => apis.world.accepted.length === 1);
      await end();
      gate.resolve(undefined);
      await Promise.all(refused);
      assert.equal(apis.world.accepted.length, 1);
      assert.equal(apis.world.codes.length, codes);
      functions.close();
      events.close();
    });
  });
