// An agent that is not root: all its functions have its user, and a user namespace with all else is what keeps them apart.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import { Containment } from '@evenfall/contracts/v1/termination';
import { type Host, isAlive, startHost } from './testing/host.ts';

/** The unprivileged user that every Linux has. */
const UNPRIVILEGED_ID = 65_534;
const isRoot = process.getuid?.() === 0;
const PYTHON = { runtime: 'python3', handler: 'index.handler' };

if (isRoot) {
  it('A function of an ordinary user: the tests below, by such a user', (context) => {
    const dir = mkdtempSync(join(tmpdir(), 'evenfall-unprivileged-'));
    context.after(() => rmSync(dir, { recursive: true, force: true }));
    chownSync(dir, UNPRIVILEGED_ID, UNPRIVILEGED_ID);
    const ids = [`--reuid=${UNPRIVILEGED_ID}`, `--regid=${UNPRIVILEGED_ID}`, '--clear-groups', '--'];
    const args = [...ids, process.execPath, '--test-force-exit', fileURLToPath(import.meta.url)];
    const { status, stdout, stderr } = spawnSync('setpriv', args, {
      encoding: 'utf8',
      cwd: dir,
      env: { PATH: '/usr/bin:/bin', HOME: dir, TMPDIR: dir },
      timeout: 240_000,
    });
    if (/EACCES|Cannot find module/.test(stderr)) return context.skip('another user cannot get to this repository');
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.match(stdout, /pass [1-9]/);
  });
} else
  describe('A function of an ordinary user', () => {
    let host: Host;
    let dir: string;
    before(async () => {
      dir = mkdtempSync(join(tmpdir(), 'evenfall-home-'));
      chmodSync(dir, 0o700);
      mkdirSync(join(dir, 'data'));
      writeFileSync(join(dir, 'data/access-key'), 'the key to everything', { mode: 0o600 });
      host = await startHost({ dataDir: join(dir, 'data') });
    });
    after(async () => {
      await host.dispose();
      rmSync(dir, { recursive: true, force: true });
    });
    const python = (body: string): Record<string, string> => ({
      'index.py': `import errno, os, time\ndef fault(action):\n    try: action()\n    except OSError as f: return errno.errorcode[f.errno]\n    return "it worked"\ndef handler(e, c):\n${body.replace(/^/gm, '    ')}\n`,
    });
    const resultOf = async (files: Record<string, string>, payload: unknown = {}, more: object = {}): Promise<unknown> => {
      const ended = await host.ended(host.run(await host.start({ ...PYTHON, ...more }, files), payload));
      assert.equal(ended.outcome, Outcome.RETURNED, ended.error.toString());
      return JSON.parse(ended.result.toString());
    };

    it('is isolated, and has no rights within its sandbox', async (context) => {
      const sandbox = host.agent.abilities.find(({ name }) => name === 'sandbox');
      if (!sandbox?.available) return context.skip(`this kernel refuses user namespaces: ${sandbox?.detail}`);
      assert.match(sandbox.detail, /user namespace/);
      const status = String(await resultOf(python('return open("/proc/self/status").read()')));
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) assert.match(status, new RegExp(`^${set}:\\s+0+$`, 'm'));
      assert.match(status, /^Seccomp:\s+2$/m);
    });

    it('reads neither the key nor anything else of the agent, and writes nowhere but into its own room', async () => {
      const code = [
        'paths = [e["dir"], e["dir"] + "/data", e["dir"] + "/data/access-key", e["dir"] + "/data/tmp"]',
        'seen = [fault(lambda p=p: open(p).read() if p.endswith("key") else os.listdir(p)) for p in paths]',
        'made = [fault(lambda p=p: open(p + "/x", "w")) for p in ("/dev", "/run", "/etc", os.path.dirname(os.path.abspath(__file__)))]',
        'return [seen, made, os.listdir("/tmp")]',
      ];
      const [seen, made, temporary] = (await resultOf(python(code.join('\n')), { dir })) as [string[], string[], string[]];
      // What is in sight is what leads to its own package, and empty otherwise.
      assert.deepEqual(seen.slice(2), ['ENOENT', 'ENOENT']);
      for (const each of made) assert.match(each, /^(EROFS|EACCES|ENOENT)$/);
      assert.ok(temporary.length <= 1, temporary.join());
    });

    it('has the room for files and the number of processes that its function sets', async () => {
      const code = [
        'import resource',
        'file, size = open("/dev/shm/fill", "wb", buffering=0), 0',
        'def fill():',
        '    global size',
        '    while size < 2**28: size += file.write(b"x" * 2**20)',
        'full = fault(fill)',
        'return [full, size // 2**20, fault(lambda: open("/tmp/x", "w").write("x" * 9999)), resource.getrlimit(resource.RLIMIT_NPROC)[0]]',
      ];
      const body = python(code.join('\n').replace('    global size\n', '    nonlocal size\n'));
      assert.deepEqual(await resultOf(body, {}, { tmpMb: 64, maxProcesses: 100 }), ['ENOSPC', 64, 'ENOSPC', 100]);
    });

    it('sees, signals and traces no process but its own', async () => {
      const other = await host.start(PYTHON, python('print("up", flush=True)\ntime.sleep(60)'));
      const id = host.run(other);
      await host.line(id, 'up');
      const pid = host.pidOf(other, 2);
      const code = [
        'tries = [lambda: os.kill(e["agent"], 0), lambda: os.kill(e["pid"], 0), lambda: open("/proc/%d/environ" % e["agent"]).read()]',
        'os.kill(1, 9)', // the kernel keeps it from the first process of a namespace
        'return [[fault(each) for each in tries], fault(lambda: open("/proc/1/environ").read()), [p for p in os.listdir("/proc") if p.isdigit() and int(p) > 9]]',
      ];
      const [faults, first, pids] = (await resultOf(python(code.join('\n')), { agent: process.pid, pid })) as [string[], string, string[]];
      for (const each of faults) assert.match(each, /^(ESRCH|ENOENT)$/);
      assert.match(first, /^(ENOENT|EACCES|EPERM)$/);
      assert.deepEqual(pids, []);
      assert.ok(isAlive(pid));
      host.stop(id, 'FORCE');
      const ended = await host.ended(id);
      assert.equal(ended.stop?.containment, Containment.PID_NAMESPACE);
      assert.equal(isAlive(pid), false);
    });
  });
