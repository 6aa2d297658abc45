import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { TerminationStep_Disposition as Disposition } from '@evenfall/contracts/v1/termination';
import { StopInstance } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { durationOfMs } from '@evenfall/time';
import { errorOf, type Host, startHost } from './testing/host.ts';
import { reasonToSkip } from './testing/sandboxes.ts';

const CUSTOM = { runtime: 'custom', handler: 'any' };
const WEB = { runtime: 'web' };
const PLACES = [
  ['process', false],
  ['gvisor', await reasonToSkip('gvisor', [])],
] as const;

/** A server of Python's own that answers as its query requests. */
const SERVER = `#!/usr/bin/env python3
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def reply(self, status, body, headers={}):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        print('hook', self.path)
        self.reply(200, b'')

    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        if self.path == '/initialize':
            print('hook', self.path)
            return self.reply(int(os.environ.get('INIT_STATUS', '200')), b'not today' if 'INIT_STATUS' in os.environ else b'')
        event = json.loads(body)
        what = event.get('do')
        if what == 'headers':
            return self.reply(200, json.dumps({'path': self.path, **{k.lower(): v for k, v in self.headers.items()}}).encode())
        if what == 'die':
            os._exit(3)
        if what == 'sleep':
            print('sleeping')
            time.sleep(60)
        if what == 'large':
            return self.reply(200, b'x' * event['bytes'])
        self.reply(event.get('status', 200), event.get('body', '').encode(), event.get('headers', {}))

    def log_message(self, *args):
        pass

ThreadingHTTPServer(('0.0.0.0', int(os.environ['PORT'])), Handler).serve_forever()
`;

for (const [sandbox, skip] of PLACES)
  describe(`A web function in sandbox ${sandbox}`, { skip }, () => {
    let host: Host;
    before(async () => {
      host = await startHost({ sandbox });
    });
    after(() => host.dispose());
    const start = (fn: Partial<FunctionMessage> = {}) => host.start({ ...WEB, port: 0, ...fn }, { bootstrap: SERVER });

    it('gets POST /event-invoke with the names of SCF and FC, cold and warm', async () => {
      const instance = await start();
      const id = host.run(instance, { do: 'headers' });
      const seen = JSON.parse((await host.ended(id)).result.toString()) as Record<string, string>;
      assert.deepEqual(
        [seen['path'], seen['content-type'], seen['x-scf-request-id'], seen['x-fc-request-id'], seen['x-scf-name'], seen['x-scf-memory']],
        ['/event-invoke', 'application/json', id, id, 'f', '128'],
      );
      const again = host.run(instance, { body: '{"n": 1}' });
      assert.equal((await host.ended(again)).result.toString(), '{"n":1}');
    });

    for (const [what, event, statusCode, result] of [
      ['text', { body: 'END' }, 200, '"END"'],
      ['nothing', {}, 200, 'null'],
      ['a number', { body: '7', status: 201 }, 200, '7'],
      ['too much', { do: 'large', bytes: 6 * 1024 * 1024 + 1 }, 407, /too long/],
      ['an error', { status: 500, body: 'went wrong' }, 430, /answered 500: went wrong/],
      ['not found', { status: 404 }, 430, /answered 404/],
      ['another protocol', { status: 101, headers: { connection: 'upgrade', upgrade: 'websocket' } }, 430, /answered 101/],
      ['an error in the form of FC', { headers: { 'x-fc-status': '404' }, body: 'no' }, 430, /x-fc-status 404: no/],
    ] as const) {
      it(`that answers with ${what} ends ${statusCode}`, async () => {
        const ended = await host.ended(host.run(await start(), event));
        assert.equal(ended.statusCode, statusCode);
        if (typeof result === 'string') assert.equal(ended.result.toString(), result);
        else assert.match(errorOf(ended).errorMessage, result);
      });
    }

    it('that dies at work ends by its exit, and one without a handler by the signal', async () => {
      const died = await host.ended(host.run(await start(), { do: 'die' }));
      assert.deepEqual([died.outcome, died.statusCode, died.exitCode], [Outcome.EXITED, 439, 3]);
      const id = host.run(await start(), { do: 'sleep' });
      await host.line(id, 'sleeping');
      host.stop(id, 'GRACEFUL');
      const stopped = await host.ended(id);
      assert.deepEqual([stopped.outcome, stopped.statusCode, stopped.signal], [Outcome.DIED_OF, 439, 'SIGTERM']);
      assert.equal(stopped.stop?.steps[0]?.disposition, sandbox === 'gvisor' ? Disposition.UNKNOWN : Disposition.DEFAULT);
    });

    it('has hooks: POST /initialize before the first event, GET /pre-stop before it is stopped', async () => {
      const hook = { handler: 'x', timeout: undefined };
      const instance = await start({ initializer: hook, preStop: hook });
      const id = host.run(instance, { body: '1' });
      await host.ended(id);
      await host.until(() => host.lines.filter(({ eventId }) => eventId === id).length >= 3, 'the lines of the hook');
      const textsOf = (of: string) => host.lines.filter(({ eventId }) => eventId === of).map(({ line }) => line?.text);
      assert.deepEqual(textsOf(id), [`FC Initialize Start RequestId: ${id}`, 'hook /initialize', `FC Initialize End RequestId: ${id}`]);
      host.send({ stopInstances: [{ ...StopInstance.create(), instanceId: instance }] });
      await host.gone(instance);
      await host.until(() => textsOf(instance).length >= 7, 'the lines of the other hook');
      assert.deepEqual(textsOf(instance).slice(0, -2), [
        `START RequestId: ${instance}`,
        `FC PreStop Start RequestId: ${instance}`,
        'hook /pre-stop',
        `FC PreStop End RequestId: ${instance}`,
        `Response RequestId:${instance} RetMsg:null`,
      ]);
    });

    it('whose Initializer answers with an error does not start', async () => {
      const instance = await start({ initializer: { handler: 'x', timeout: undefined }, environment: { INIT_STATUS: '500' } });
      const ended = await host.ended(host.run(instance));
      assert.deepEqual([ended.outcome, ended.statusCode], [Outcome.START_FAILED, 450]);
      assert.match(errorOf(ended).errorMessage, /Initializer failed: .*500: not today/);
    });

    it('gets another port while the wanted one is in use', async () => {
      const first = await start({ port: 19_871 });
      await host.ended(host.run(first, {}));
      const second = await start({ port: 19_871 });
      assert.equal((await host.ended(host.run(second, { body: '2' }))).result.toString(), '2');
    });
  });

/** Answers calls of SCF's custom runtime API with curl, as its documentation shows. */
const SHELL = `#!/bin/bash
api="http://$SCF_RUNTIME_API:$SCF_RUNTIME_API_PORT"
echo loading
curl -so /dev/null -X POST "$api/runtime/init/ready" -d ''
while true; do
  headers=$(mktemp)
  event=$(curl -s -D "$headers" "$api/runtime/invocation/next")
  id=$(grep -i '^request_id:' "$headers" | tr -d '\\r' | cut -d' ' -f2)
  echo "working on $id"
  case "$event" in
    *throw*) curl -so /dev/null -X POST "$api/runtime/invocation/error" -d 'it went wrong' ;;
    *exit*) exit 4 ;;
    *) curl -so /dev/null -X POST "$api/runtime/invocation/response" -d "$event" ;;
  esac
done
`;

for (const [sandbox, skip] of PLACES)
  describe(`A custom runtime in sandbox ${sandbox}`, { skip }, () => {
    let host: Host;
    before(async () => {
      host = await startHost({ sandbox });
    });
    after(() => host.dispose());

    it('speaks the API of SCF with bash and curl', async () => {
      const instance = await host.start(CUSTOM, { bootstrap: SHELL });
      const id = host.run(instance, { n: 1 });
      const ended = await host.ended(id);
      assert.deepEqual([ended.statusCode, ended.result.toString()], [200, '{"n":1}']);
      await host.line(id, 'loading');
      await host.line(id, `working on ${id}`);
      const failed = await host.ended(host.run(instance, { throw: 1 }, { synchronous: true }));
      assert.deepEqual([failed.outcome, failed.statusCode, errorOf(failed).errorMessage], [Outcome.THREW, 430, 'it went wrong']);
      const left = await host.ended(host.run(instance, { exit: 1 }));
      assert.deepEqual([left.outcome, left.statusCode, left.exitCode], [Outcome.EXITED, 439, 4]);
    });
  });

describe('A program of the package that cannot be ready', () => {
  let host: Host;
  before(async () => {
    host = await startHost();
  });
  after(() => host.dispose());
  const soon = { initTimeout: durationOfMs(700) };
  const wrongMachine = Buffer.concat([
    Buffer.from('7f454c4602010100', 'hex'),
    Buffer.alloc(10),
    Buffer.from('0800', 'hex'),
    Buffer.alloc(200),
  ]);

  for (const [name, fn, files, statusCode, text] of [
    ['no bootstrap', CUSTOM, { 'index.sh': '' }, 445, /no "bootstrap": runtime custom/],
    ['no server', WEB, { x: '' }, 445, /no "scf_bootstrap" and no "bootstrap"/],
    ['no such program', { runtime: 'go1', handler: 'main' }, { x: '' }, 437, /no "main"/],
    ['a way out', { runtime: 'go1', handler: '../../x' }, { x: '' }, 437, /no "\.\.\/\.\.\/x"/],
    ['not executable', CUSTOM, { bootstrap: 'exit' }, 445, /"bootstrap" cannot be started: it is not executable \(chmod 755/],
    ['wrong architecture', CUSTOM, { bootstrap: wrongMachine }, 445, /is built for machine 8, and this host is/],
    ['neither program nor script', CUSTOM, { bootstrap: Buffer.from('echo hello\n') }, 445, /begins with "#!"/],
    ['no interpreter', CUSTOM, { bootstrap: '#!/var/lang/no/such\n' }, 445, /interpreter \/var\/lang\/no\/such is not on this host/],
    ['line ends of Windows', CUSTOM, { bootstrap: '#!/bin/sh\r\nexit\r\n' }, 445, /carriage return/],
    ['exits', CUSTOM, { bootstrap: '#!/bin/sh\nexit 3\n' }, 443, /exited with code 3 before it was ready/],
    ['dies', WEB, { bootstrap: '#!/bin/sh\nkill -9 $$\n' }, 443, /died of SIGKILL before it was ready/],
    ['requests nothing', { ...CUSTOM, ...soon }, { bootstrap: '#!/bin/sh\nexec sleep 60\n' }, 450, /did not ask its API/],
    ['answers no ping', { runtime: 'go1', handler: 'x', ...soon }, { x: '#!/bin/sh\nexec sleep 60\n' }, 450, /did not answer a ping/],
    [
      'listens nowhere',
      { ...WEB, port: 19_872, ...soon },
      { scf_bootstrap: '#!/bin/sh\nexec sleep 60\n' },
      446,
      /^The request timed out in 700ms\.Please confirm your http server have enabled listening on port 19872\.$/,
    ],
    [
      'hooks without a client that knows them',
      { ...CUSTOM, initializer: { handler: 'x', timeout: undefined } },
      { bootstrap: SHELL },
      450,
      /no other runtime API has hooks/,
    ],
  ] as const) {
    it(`(${name}) ends what waits for it with ${statusCode}`, async () => {
      const instance = await host.start(fn, files);
      const ended = await host.ended(host.run(instance));
      assert.deepEqual([ended.outcome, ended.statusCode], [Outcome.START_FAILED, statusCode], errorOf(ended).errorMessage);
      assert.match(errorOf(ended).errorMessage, text);
      assert.equal(await host.gone(instance), true);
    });
  }
});
