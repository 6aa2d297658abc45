// No request holds the event loop of a platform for long: leases are renewed on it, and everybody else is served.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { patient } from '@evenfall/testkit';
import { EventServiceService } from '@evenfall/contracts/v1/event_service';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { FunctionServiceService, type StreamUpdateFunctionCodeRequest } from '@evenfall/contracts/v1/function_service';
import { openPeer, type Peer } from '@evenfall/rpc';
import { tc3Headers } from '../../services/gateway/src/testing/tc3.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { zipOf } from '../support/zip.ts';

const MIB = 1024 * 1024;
const F = '/v1/namespaces/default/functions';
/** Of processor time in one go, so that others on the machine do not count. */
const MOST_MS = 50;
/** The first run of a case has its code compiled, and any may have the collector of garbage in it. */
const TRIES = 4;
const HANDLER = 'exports.handler = async (event) => event;\n';
const objects = (bytes: number): string => `[${'{},'.repeat(Math.floor(bytes / 3) - 1)}{}]`;
const payload = `"${'a'.repeat(31_000)}"`;

describe('large requests', { timeout: 300_000 }, () => {
  let stack: Stack;
  let peer: Peer;
  let noise: Buffer;
  before(async () => {
    stack = await startStack({ watched: true });
    peer = openPeer(stack.grpc, { headers: stack.headers });
    await stack.rest.deployExample('echo');
    noise = await zipOf({ 'index.js': HANDLER, 'noise.bin': randomBytes(40 * MIB) });
  });
  after(async () => {
    peer.close();
    await stack.dispose();
  });

  const send = async (method: string, path: string, body: string | Buffer, headers: Record<string, string> = {}): Promise<string> => {
    const type = { 'content-type': 'application/json' };
    const response = await fetch(`${stack.http}${path}`, {
      method,
      headers: { ...stack.headers, ...type, ...headers },
      body: body as string,
    }); // bytes are a body, too
    return `${response.status} ${(await response.text()).slice(0, 400)}`;
  };
  const scf = (action: string, body: string): Promise<string> => {
    const [id = '', secret = ''] = stack.accessKey.split(':', 2);
    const signed = tc3Headers({ id, secret, host: new URL(stack.http).host, body });
    return send('POST', '/', body, { ...signed, 'x-tc-action': action, 'x-tc-version': '2018-04-16' });
  };
  const delay = { seconds: 3_600n, nanos: 0 };
  const submissions = (text: string) => Array.from({ length: 1_000 }, () => ({ payload: Buffer.from(text), idempotencyKey: '', delay }));
  const named = { namespace: 'default', function: 'echo', qualifier: '' };
  let names = 0;
  const newName = (): string => `noise${names++}`;
  const refused = (call: Promise<unknown>): Promise<string> => call.then(() => 'taken', String);

  const cases: Readonly<Record<string, readonly [() => Promise<string>, RegExp]>> = {
    'a batch of nothing but objects': [
      () => send('POST', `${F}/echo/events:batchCreate`, `{"events":${objects(30 * MIB)}}`),
      /^400 .*1 to 1000/,
    ],
    'a batch of one such payload': [
      () => send('POST', `${F}/echo/events:batchCreate`, `{"events":[{"payload":${objects(30 * MIB)}}]}`),
      /^413 /,
    ],
    'a batch that is too large': [() => send('POST', `${F}/echo/events:batchCreate`, `{"events":${objects(57 * MIB)}}`), /^413 /],
    'a batch as large as may be': [
      () =>
        send(
          'POST',
          `${F}/echo/events:batchCreate`,
          `{"events":[${Array.from({ length: 1_000 }, () => `{"payload":${payload},"delay":"1h"}`).join(',')}]}`,
        ),
      /^202 /,
    ],
    'a call with millions of objects': [() => send('POST', `${F}/echo:invoke`, objects(5 * MIB)), /^(200|413) /],
    'a function of unknown fields': [
      () => send('POST', F, `{"name":"fields",${Array.from({ length: 2 * MIB }, (_, i) => `"f${i}":1`).join(',')}}`),
      /^413 .*262144/,
    ],
    'a function that is all code': [
      () =>
        send(
          'POST',
          F,
          JSON.stringify({ name: newName(), runtime: 'nodejs', handler: 'index.handler', code_zip: noise.toString('base64') }),
        ),
      /^201 /,
    ],
    'code that is no Base64': [
      () => send('POST', F, `{"name":"base","runtime":"nodejs","code_zip":"${'*'.repeat(50 * MIB)}"}`),
      /^400 .*base64/,
    ],
    'a package of noise': [() => send('PUT', `${F}/echo/code`, noise, { 'content-type': 'application/zip' }), /^200 /],
    'a call of SCF with millions of nulls': [
      () => scf('Invoke', `{"FunctionName":"echo","x":[${'null,'.repeat(3 * MIB)}null]}`),
      /RequestSizeLimitExceeded/,
    ],
    'code of SCF that is junk': [
      () => scf('UpdateFunctionCode', `{"FunctionName":"echo","ZipFile":${objects(60 * MIB)}}`),
      /RequestSizeLimitExceeded/,
    ],
    'code of SCF': [
      () =>
        scf(
          'CreateFunction',
          JSON.stringify({
            FunctionName: newName(),
            Runtime: 'Nodejs18.15',
            Handler: 'index.handler',
            Code: { ZipFile: noise.toString('base64') },
          }),
        ),
      /"RequestId"/,
    ],
    'a payload of SCF': [
      () => scf('Invoke', JSON.stringify({ FunctionName: 'echo', ClientContext: objects(5 * MIB) })),
      /InvokeResult|RequestTooLarge/,
    ],
    'a batch over gRPC': [
      async () =>
        `${(await peer.client(EventServiceService).batchCreateEvents({ ...named, submissions: submissions(payload) })).eventIds.length}`,
      /^1000$/,
    ],
    'a batch of objects over gRPC': [
      async () =>
        `${(await peer.client(EventServiceService).batchCreateEvents({ ...named, submissions: submissions(objects(31_000)) })).eventIds.length}`,
      /^1000$/,
    ],
    'a batch of nothing over gRPC': [
      () =>
        refused(
          peer.client(EventServiceService).batchCreateEvents({
            ...named,
            submissions: Array.from({ length: 1_000_000 }, () => ({ payload: Buffer.alloc(0), idempotencyKey: '', delay: undefined })),
          }),
        ),
      /not valid/,
    ],
    'code over gRPC': [
      () =>
        refused(
          peer.client(FunctionServiceService).createFunction({
            function: FunctionMessage.create({ namespace: 'default', name: newName(), runtime: 'nodejs', handler: 'index.handler' }),
            codeZip: noise,
          }),
        ),
      /^taken$/,
    ],
    'code over gRPC in pieces': [
      async () => {
        const pieces = async function* (): AsyncGenerator<StreamUpdateFunctionCodeRequest> {
          for (let at = 0; at < noise.length; at += MIB) yield { namespace: 'default', name: 'echo', chunk: noise.subarray(at, at + MIB) };
        };
        return String((await peer.client(FunctionServiceService).streamUpdateFunctionCode(pieces())).function?.codeSizeBytes);
      },
      /^4\d{7}$/,
    ],
    'a list of large events': [() => send('GET', `${F}/echo/events?page_size=100`, undefined as unknown as string), /^200 /],
  };
  for (const [name, [run, expected]] of Object.entries(cases))
    it(`do not hold the loop: ${name}`, async () => {
      const held: number[] = [];
      for (let tries = 0; tries < TRIES && !held.some((ms) => ms < patient(MOST_MS)); tries++) {
        await stack.longestHoldMs();
        assert.match(await run(), expected);
        held.push(await stack.longestHoldMs());
      }
      assert.ok(Math.min(...held) < patient(MOST_MS), `${held.join(', ')} ms`);
    });
});
