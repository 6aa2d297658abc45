// Without a sandbox a function runs as the agent's user: it may signal what starts and ends it. It still harms only itself.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { patient } from '@evenfall/testkit';
import { type Host, isAlive, startHost } from './testing/host.ts';

/** The unprivileged user that every Linux has. */
const UNPRIVILEGED_ID = 65_534;
const PYTHON = { runtime: 'python3', handler: 'index.handler' };
/** A process of another session signals the launcher, again and again, as fast as it can, and is none of the function's by its environment. */
const attack = (signal: string): string => `import os, signal, time
def handler(event, context):
    launcher = os.getppid()
    r, w = os.pipe()
    if os.fork() == 0:
        os.setsid()
        os.write(w, b"%d" % os.getpid())
        time.sleep(0.3)  # what was printed is to arrive: the function may end with its launcher
        while True:
            try: os.kill(launcher, signal.${signal})
            except ProcessLookupError: pass
    print("attacks", os.getpid(), int(os.read(r, 20)), flush=True)
    time.sleep(600)
`;

if (process.getuid?.() === 0)
  it('A function without a sandbox: the tests below, by an ordinary user', (context) => {
    const dir = mkdtempSync(join(tmpdir(), 'evenfall-unprivileged-'));
    context.after(() => rmSync(dir, { recursive: true, force: true }));
    chownSync(dir, UNPRIVILEGED_ID, UNPRIVILEGED_ID);
    const ids = [`--reuid=${UNPRIVILEGED_ID}`, `--regid=${UNPRIVILEGED_ID}`, '--clear-groups', '--'];
    const { status, stdout, stderr } = spawnSync(
      'setpriv',
      [...ids, process.execPath, '--test-force-exit', fileURLToPath(import.meta.url)],
      {
        encoding: 'utf8',
        cwd: dir,
        env: { PATH: '/usr/bin:/bin', HOME: dir, TMPDIR: dir },
        timeout: patient(120_000),
      },
    );
    if (/EACCES|Cannot find module/.test(stderr)) return context.skip('another user cannot get to this repository');
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.match(stdout, /pass [1-9]/);
  });

describe('A function without a sandbox that signals its launcher', () => {
  let host: Host;
  before(async () => {
    host = await startHost({ sandbox: 'none' });
  });
  after(() => host.dispose());

  for (const signal of ['SIGSTOP', 'SIGTSTP', 'SIGTERM', 'SIGKILL', 'SIGUSR1'])
    it(`is ended all the same: ${signal}`, { timeout: patient(60_000) }, async () => {
      const instance = await host.start(PYTHON, { 'index.py': attack(signal) });
      const id = host.run(instance);
      const { line } = await host.line(id, /attacks \d+ \d+/);
      const pids = (/attacks (\d+) (\d+)/.exec(line?.text ?? '') ?? []).slice(1).map((pid) => host.pidOf(instance, pid));
      host.stop(id, 'FORCE');
      await host.ended(id);
      await host.gone(instance);
      await host.until(() => pids.every((pid) => !isAlive(pid)), 'the end of its processes');
      const next = await host.ended(host.run(await host.start(PYTHON, { 'index.py': 'def handler(e, c): return "well"\n' })));
      assert.equal(next.result.toString(), '"well"');
    });
});
