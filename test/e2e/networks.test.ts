import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually, goPrograms, tempDir } from '@evenfall/testkit';
import { MAIN, type Stack, startStack } from '../support/stack.ts';

const WITHIN_MS = 60_000;
const ONCE = { event_invoke: { max_retries: 0 } };
const isRoot = process.getuid?.() === 0;
const mayMakeNetworks = isRoot && spawnSync('unshare', ['--net', '--', 'true']).status === 0;

/** Listens on 9000 of its loopback and ignores PORT; cleans up when it is asked to end. */
const INSISTS = `#!/usr/bin/env python3
import os, signal, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

asked = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: asked.set())

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        if body == b'"wait"':
            print('waiting on', os.environ['PORT'], flush=True)
            while not asked.wait(0.1): pass
            body = b'"END"'
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass

ThreadingHTTPServer(('127.0.0.1', 9000), Handler).serve_forever()
`;
const CUSTOM = `#!/usr/bin/env python3
import os, urllib.request
api = 'http://%s/2018-06-01/runtime/invocation/' % os.environ['AWS_LAMBDA_RUNTIME_API']
while True:
    with urllib.request.urlopen(api + 'next') as event:
        id, body = event.headers['Lambda-Runtime-Aws-Request-Id'], event.read()
    urllib.request.urlopen(api + id + '/response', data=body)
`;

for (const network of ['auto', 'none'])
  describe(
    `functions with a network each (${network})`,
    { skip: mayMakeNetworks ? false : 'only root with CAP_SYS_ADMIN can make networks' },
    () => {
      let stack: Stack;
      before(async () => {
        stack = await startStack({ env: { EVENFALL_AGENT_NETWORK: network } });
        await stack.rest.deploy({ name: 'insists', runtime: 'web', timeout: '60s', ...ONCE }, { scf_bootstrap: INSISTS });
      });
      after(() => stack.dispose());

      it('serve on the same port at once, and are terminated gracefully', async () => {
        const events = [await stack.rest.send('insists', 'wait'), await stack.rest.send('insists', 'wait')];
        for (const { id } of events)
          await eventually(async () => (await stack.rest.logs(id)).some(({ text }) => text === 'waiting on 9000'), WITHIN_MS);
        const { body } = await stack.rest.call<{ instances: { function: string }[] }>('GET', '/v1/instances');
        assert.equal(body.instances.filter((instance) => instance.function === 'insists').length, 2);
        for (const { id } of events) {
          const answer = await stack.rest.terminate(id, { graceful: true, grace_period: '20s', exit_grace: '1s', wait: 'ENDED' });
          assert.equal(answer.status, 200, JSON.stringify(answer.body));
          const event = await stack.rest.ended(id, WITHIN_MS);
          assert.deepEqual([event.state, event.status_code, event.result], ['TERMINATED', 200, 'END'], JSON.stringify(event.error));
          assert.deepEqual(
            [event.termination?.outcome, event.termination?.steps.map(({ signal, delivery }) => [signal, delivery])],
            ['RETURNED', [['SIGTERM', 'DELIVERED']]],
          );
        }
        const { id } = await stack.rest.send('insists', { a: 1 });
        assert.deepEqual((await stack.rest.ended(id, WITHIN_MS)).result, { a: 1 });
      });

      it('speak to the platform in every runtime', async () => {
        await stack.rest.deploy({ name: 'asks', runtime: 'custom', timeout: '30s', ...ONCE }, { bootstrap: CUSTOM });
        for (const example of ['echo', 'echo-python']) await stack.rest.deployExample(example);
        for (const fn of ['asks', 'echo', 'echo-python']) {
          const { id } = await stack.rest.send(fn, { a: 1 });
          const event = await stack.rest.ended(id, WITHIN_MS);
          assert.deepEqual(event.result, { a: 1 }, `${fn}: ${JSON.stringify(event.error)}`);
        }
      });

      const programs = goPrograms(fileURLToPath(new URL('../functions/go', import.meta.url)));
      it('speak to it in gob', { skip: programs === undefined && 'there is no go here' }, async () => {
        await stack.rest.deploy(
          { name: 'scf-go', runtime: 'go1', timeout: '50s', ...ONCE },
          { main: programs?.['scf'] ?? assert.fail('not built') },
        );
        for (const calls of [1, 2]) {
          const { id } = await stack.rest.send('scf-go', {});
          const { result, error } = await stack.rest.ended(id, WITHIN_MS);
          assert.deepEqual((result as { calls: number } | null)?.calls, calls, JSON.stringify(error));
        }
      });
    },
  );

describe('functions of an ordinary user', () => {
  const unprivileged = /^nobody:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8')); // cspell:ignore nobody
  const [uid, gid] = [Number(unprivileged?.[1]), Number(unprivileged?.[2])];
  const asUnprivileged = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--'];
  const worksFor = (...words: string[]): boolean =>
    spawnSync('setpriv', [...asUnprivileged.slice(1), ...words], { cwd: '/', stdio: 'ignore' }).status === 0;
  const skip =
    !isRoot || !unprivileged
      ? 'only root can become an ordinary user'
      : !worksFor(process.execPath, '--check', MAIN)
        ? 'the unprivileged user cannot read the checkout'
        : worksFor('unshare', '--user', '--net', 'true')
          ? false
          : 'this kernel refuses user namespaces';

  it('have a network each as well, run in every runtime, and it is said that they have no way out', { skip }, async (context) => {
    const dir = tempDir('no-network');
    context.after(() => dir.remove());
    chownSync(dir.path, uid, gid);
    const stack = await startStack({ dataDir: join(dir.path, 'data'), prefix: asUnprivileged, cwd: dir.path, env: { HOME: dir.path } });
    try {
      await stack.rest.deploy({ name: 'insists', runtime: 'web', timeout: '60s', ...ONCE }, { scf_bootstrap: INSISTS });
      await stack.rest.deploy({ name: 'asks', runtime: 'custom', timeout: '30s', ...ONCE }, { bootstrap: CUSTOM });
      for (const example of ['echo', 'echo-python']) await stack.rest.deployExample(example);
      const events = await Promise.all(['insists', 'insists', 'asks', 'echo', 'echo-python'].map((fn) => stack.rest.send(fn, { a: 1 })));
      for (const { id } of events) {
        const { result, error } = await stack.rest.ended(id, WITHIN_MS);
        assert.deepEqual(result, { a: 1 }, JSON.stringify(error));
      }
      const ready = await eventually(async () => {
        const { body } = await stack.rest.call<{ notes?: string[] }>('GET', '/readyz');
        return body.notes?.length ? body.notes : undefined;
      }, WITHIN_MS);
      assert.match(ready.join(), /functions reach nothing outside on /);
    } finally {
      await stack.dispose();
    }
  });
});
