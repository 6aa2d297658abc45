// Callers that leave, at every API and at every point of a call: nothing fails or remains because of it, and other callers are served.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { EventServiceService } from '@evenfall/contracts/v1/event_service';
import { InvocationServiceService, InvokeFunctionRequest } from '@evenfall/contracts/v1/invocation_service';
import { LogServiceService } from '@evenfall/contracts/v1/log_service';
import { openPeer } from '@evenfall/rpc';
import { eventually } from '@evenfall/testkit';
import { exampleZip } from '../support/scf-client.ts';
import { tc3Headers } from '../../services/gateway/src/testing/tc3.ts';
import { type Stack, startStack } from '../support/stack.ts';

const FUNCTIONS = '/v1/namespaces/default/functions';
const LARGE = `"${'x'.repeat(60_000)}"`;
/** Where a request is broken off: shares of its bytes. 1 is after all of it, while its answer is on its way. */
const SHARES = [0.05, 0.3, 0.6, 0.9, 0.999, 1];

describe('callers that leave', { timeout: 180_000 }, () => {
  let stack: Stack;
  let ended = '';
  before(async () => {
    stack = await startStack();
    await stack.rest.deployExample('echo');
    await stack.rest.deployExample('sleeps', { timeout: '20s' });
    const { id } = await stack.rest.send('echo', 1);
    ended = (await stack.rest.ended(id)).id;
    await scf('CreateFunction', {
      FunctionName: 'scf',
      Runtime: 'Nodejs18.15',
      Handler: 'index.handler',
      Code: { ZipFile: await exampleZip('echo') },
    });
  });
  after(() => stack.dispose());

  const scf = (action: string, body: unknown) =>
    fetch(`${stack.http}/`, { method: 'POST', headers: scfHeaders(action, JSON.stringify(body)), body: JSON.stringify(body) });
  const scfHeaders = (action: string, body: string): Record<string, string> => {
    const [id = '', secret = ''] = stack.accessKey.split(':', 2);
    const signed = tc3Headers({ id, secret, host: new URL(stack.http).host, body });
    return { ...signed, 'x-tc-action': action, 'x-tc-version': '2018-04-16' };
  };
  const scfRequest = (action: string, parameters: object): Buffer => {
    const body = JSON.stringify(parameters);
    return requestOf('POST', '/', body, { ...scfHeaders(action, body), host: new URL(stack.http).host });
  };
  /** Sends a part of a request and leaves: orderly, or with a reset. */
  const leave = async (bytes: Buffer, share: number, isReset: boolean): Promise<void> => {
    const socket = connect(Number(new URL(stack.http).port), '127.0.0.1');
    socket.on('error', () => undefined); // it may be reset from the other side
    await new Promise((resolve) => socket.once('connect', resolve));
    await new Promise((resolve) => socket.write(bytes.subarray(0, Math.ceil(bytes.length * share)), resolve));
    for (let n = 0; n < 5; n++) await setImmediate();
    if (isReset) socket.resetAndDestroy();
    else socket.destroy();
  };
  const requestOf = (method: string, path: string, body = '', headers: Record<string, string> = {}): Buffer => {
    const all = {
      host: 'localhost',
      ...stack.headers,
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
      ...headers,
    };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
    return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`);
  };
  /** Everything that was accepted has ended, nothing is unaccounted for, and the next caller is served. */
  const isWell = async (): Promise<void> => {
    await eventually(async () => {
      const { body } = await stack.rest.call<{ counts: { state: string }[] }>('GET', '/v1/namespaces/default/events:count');
      return body.counts.every(({ state }) => !['QUEUED', 'RUNNING', 'TERMINATING'].includes(state));
    }, 60_000);
    // One with a key is open in the queue until it has been looked up, and counted only then.
    await eventually(async () => (await stack.metric('evenfall_queue_balance')) === 0, 20_000);
    assert.equal((await stack.rest.call('POST', `${FUNCTIONS}/echo:invoke`, '7')).status, 200);
    assert.doesNotMatch(stack.stderr(), / error | at .*\.ts:\d+/);
  };

  /** Something to look at while it runs. */
  const running = async (): Promise<string> => (await stack.rest.send('sleeps', { seconds: 1 })).id;
  const cases: Record<string, () => Buffer | Promise<Buffer>> = {
    'an accept': () => requestOf('POST', `${FUNCTIONS}/echo/events`, LARGE),
    'an accept with a key': () => requestOf('POST', `${FUNCTIONS}/echo/events`, LARGE, { 'idempotency-key': 'same' }),
    'a batch': () =>
      requestOf('POST', `${FUNCTIONS}/echo/events:batchCreate`, JSON.stringify({ events: [{ payload: LARGE }, { payload: 2 }] })),
    'a call': () => requestOf('POST', `${FUNCTIONS}/echo:invoke`, LARGE),
    'a long call': () => requestOf('POST', `${FUNCTIONS}/sleeps:invoke`, '{"seconds": 0.5}'),
    'a long call that is stopped': () =>
      requestOf('POST', `${FUNCTIONS}/sleeps:invoke`, '{"seconds": 5}', { 'evenfall-cancel': 'on-disconnect' }),
    'a read': () => requestOf('GET', `/v1/events/${ended}`),
    'a list': () => requestOf('GET', `${FUNCTIONS}/echo/events?page_size=100`),
    'a watch': () => requestOf('GET', `/v1/events/${ended}:watch`),
    'a log that is followed': () => requestOf('GET', `/v1/events/${ended}/logs?follow=true`),
    'a watch of what runs': async () => requestOf('GET', `/v1/events/${await running()}:watch`),
    'a log of what runs': async () => requestOf('GET', `/v1/events/${await running()}/logs?follow=true`),
    'a termination that is waited for': async () =>
      requestOf('POST', `/v1/events/${await running()}:terminate`, '{"graceful": true, "wait": "ENDED"}'),
    'new code': () => requestOf('PUT', `${FUNCTIONS}/echo/code`, LARGE, { 'content-type': 'application/zip' }),
    gzip: () => requestOf('POST', `${FUNCTIONS}/echo/events`, LARGE, { 'content-encoding': 'gzip' }),
    chunks: () =>
      Buffer.from(
        `POST ${FUNCTIONS}/echo/events HTTP/1.1\r\nhost: localhost\r\nauthorization: ${stack.headers['authorization']}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n5\r\n"abc"\r\n0\r\n\r\n`,
      ),
    'a list of SCF': () => scfRequest('ListAsyncEvents', { FunctionName: 'scf' }),
    'a call of SCF': () => scfRequest('InvokeFunction', { FunctionName: 'scf', Event: LARGE }),
    'an event of SCF': () => scfRequest('Invoke', { FunctionName: 'scf', InvocationType: 'Event', ClientContext: LARGE }),
  };
  for (const [what, make] of Object.entries(cases))
    it(`amid ${what} are let go`, async () => {
      const bytes = await make();
      for (const share of SHARES) for (const isReset of [false, true]) await Promise.all([1, 2, 3].map(() => leave(bytes, share, isReset)));
      await isWell();
    });

  it('over gRPC are let go, at every point', async () => {
    const peer = openPeer(stack.grpc, { headers: stack.headers });
    const [events, calls, logs] = [peer.client(EventServiceService), peer.client(InvocationServiceService), peer.client(LogServiceService)];
    const named = { namespace: 'default', function: 'echo', qualifier: '' };
    const submission = { payload: Buffer.from(LARGE), idempotencyKey: '', delay: undefined };
    const invocation = InvokeFunctionRequest.create({ ...named, payload: Buffer.from(LARGE) });
    const ignore = (): undefined => undefined;
    const drain = async (answers: AsyncIterable<unknown>): Promise<void> => {
      const iterator = answers[Symbol.asyncIterator]();
      while (!(await iterator.next()).done) await setImmediate();
    };
    const runningId = await running();
    const all: Record<string, (signal: AbortSignal) => Promise<unknown>> = {
      create: (signal) => events.createEvent({ ...named, submission }, { signal }),
      batch: (signal) => events.batchCreateEvents({ ...named, submissions: [submission, submission] }, { signal }),
      get: (signal) => events.getEvent({ id: ended }, { signal }),
      watch: (signal) => drain(events.watchEvent({ id: ended, afterVersion: 0 }, { signal })),
      watchLive: (signal) => drain(events.watchEvent({ id: runningId, afterVersion: 0 }, { signal })),
      tailLive: (signal) => drain(logs.tailLogLines({ eventId: runningId, filter: undefined, resumeToken: '' }, { signal })),
      invoke: (signal) => calls.invokeFunction(invocation, { signal }),
      cancel: (signal) => calls.invokeFunction({ ...invocation, cancelOnDisconnect: true }, { signal }),
      pieces: (signal) => drain(calls.streamInvokeFunction({ invocation }, { signal })),
      tail: (signal) => drain(logs.tailLogLines({ eventId: ended, filter: undefined, resumeToken: '' }, { signal })),
    };
    for (const call of Object.values(all))
      for (const turns of [0, 1, 2, 4, 8, 16, 64]) {
        const leaving = new AbortController();
        const answered = call(leaving.signal).catch(ignore);
        for (let n = 0; n < turns; n++) await setImmediate();
        leaving.abort();
        await answered;
      }
    peer.close();
    await isWell();
  });
});
