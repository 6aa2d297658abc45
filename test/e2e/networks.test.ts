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

/** Takes 9000 on its loopback, whatever it is told; tidies up when it is asked to end. */
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

describe('functions with a network each', { skip: mayMakeNetworks ? false : 'only root with CAP_SYS_ADMIN can make networks' }, () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack({ env: { EVENFALL_AGENT_NETWORK: 'none' } });
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
      const answer = await stack.rest.terminate(id, { graceful: true, grace_period: '20s', wait: 'ENDED' });
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
});

describe('functions without a network', () => {
  const nobody = /^nobody:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'));
  const [uid, gid] = [Number(nobody?.[1]), Number(nobody?.[2])];
  const asNobody = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--'];
  const worksFor = (...words: string[]): boolean =>
    spawnSync('setpriv', [...asNobody.slice(1), ...words], { cwd: '/', stdio: 'ignore' }).status === 0;
  const skip =
    !isRoot || !nobody
      ? 'only root can become an ordinary user'
      : !worksFor(process.execPath, '--check', MAIN)
        ? 'the checkout cannot be read by "nobody"'
        : worksFor('bwrap', '--unshare-user', '--unshare-net', '--ro-bind', '/', '/', 'true')
          ? false
          : 'bubblewrap cannot take the network away here';

  it('that the agent could enter start if they talk over a pipe; the others say why they do not', { skip }, async (context) => {
    const dir = tempDir('no-network');
    context.after(() => dir.remove());
    chownSync(dir.path, uid, gid);
    const env = { HOME: dir.path, EVENFALL_AGENT_NETWORK: 'none' };
    const stack = await startStack({ dataDir: join(dir.path, 'data'), prefix: asNobody, cwd: dir.path, env });
    try {
      await stack.rest.deployExample('echo-python');
      const { id } = await stack.rest.send('echo-python', { a: 1 });
      assert.deepEqual((await stack.rest.ended(id, WITHIN_MS)).result, { a: 1 });
      await stack.rest.deploy({ name: 'asks', runtime: 'custom', timeout: '30s', ...ONCE }, { bootstrap: CUSTOM });
      const { id: refused } = await stack.rest.send('asks', {});
      const event = await eventually(async () => {
        const seen = await stack.rest.get(refused);
        return seen.status_code === 445 || seen.attempts.some((each) => each.status_code === 445) ? seen : undefined;
      }, WITHIN_MS);
      assert.match(JSON.stringify(event), /Runtime custom talks over the network/);
      const { body } = await stack.rest.call<{ agents: { abilities: { name: string; detail: string }[] }[] }>('GET', '/v1/agents');
      const detail = body.agents[0]?.abilities.find(({ name }) => name === 'own-network')?.detail ?? '';
      assert.match(detail, /^functions have no network; runtimes custom, go1 and web do not start/);
    } finally {
      await stack.dispose();
    }
  });
});
