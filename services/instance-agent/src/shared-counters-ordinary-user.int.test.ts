// What the kernel counts for each user of the host: with an agent that is not root that user is the agent's, and all of its functions'.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import { durationOfMs } from '@evenfall/time';
import { userShares } from './domain/user-share.ts';
import { readUserLimits } from './adapters/process/isolation/user-limits.ts';
import { errorOf, type Host, startHost } from './testing/host.ts';

/** The unprivileged user that every Linux has. */
const UNPRIVILEGED_ID = 65_534;
const PYTHON = { runtime: 'python3', handler: 'index.handler', timeout: durationOfMs(60_000) };
const CAPACITY_MB = 4096;
const SHARES = userShares(readUserLimits(), CAPACITY_MB / 64);

/** Makes one after the other until the kernel allows no more. */
const takes = (one: string): Record<string, string> => ({
  'index.py': `
import ctypes, errno, os, select, signal, socket, time
libc = ctypes.CDLL(None, use_errno=True)
def checked(result):
    if result < 0: raise OSError(ctypes.get_errno(), "refused")
    return result
held = []
def one():
${one.replace(/^/gm, '    ')}
def handler(e, c):
    try:
        while len(held) < 2_000_000: held.append(one())
    except OSError as fault: print("full", len(held), errno.errorcode[fault.errno], flush=True)
    time.sleep(60)
`,
});
/** Every process watches as many descriptors by as many epolls as it can have of both; in its first thread, or in another one once that has ended. */
const watches = (processes: number, start: 'fill()' | 'hide()'): Record<string, string> => ({
  'index.py': `
import ctypes, os, platform, select, threading, time
def fill():
    r, w = os.pipe()
    epolls, targets = [], []
    try:
        for _ in range(500): epolls.append(select.epoll()); targets.append(os.dup(r))
    except OSError: pass
    for epoll in epolls:
        for target in targets: epoll.register(target)
    time.sleep(60)
def hide():
    threading.Thread(target=fill).start()
    ctypes.CDLL(None).syscall(60 if platform.machine() == "x86_64" else 93, 0)
def handler(e, c):
    for child in range(${processes}):
        if os.fork() == 0: ${start}
    time.sleep(60)
`,
});
const HONEST = {
  'index.py': `
import os, select, subprocess
def handler(e, c):
    r, w = os.pipe()
    epoll = select.epoll()
    epoll.register(r)
    os.write(w, b"x")
    seen = len(epoll.poll(1))
    epoll.close()
    for end in (r, w): os.close(end)
    return [seen, subprocess.run(["echo", "hi"], capture_output=True).stdout.decode()]
`,
};

if (process.getuid?.() === 0) {
  it('What the kernel counts for an ordinary user: the tests below, by such a user', (context) => {
    const dir = mkdtempSync(join(tmpdir(), 'evenfall-unprivileged-'));
    context.after(() => rmSync(dir, { recursive: true, force: true }));
    chownSync(dir, UNPRIVILEGED_ID, UNPRIVILEGED_ID);
    const ids = [`--reuid=${UNPRIVILEGED_ID}`, `--regid=${UNPRIVILEGED_ID}`, '--clear-groups', '--'];
    const args = [...ids, process.execPath, '--test-force-exit', fileURLToPath(import.meta.url)];
    const env = { PATH: '/usr/bin:/bin', HOME: dir, TMPDIR: dir };
    const { status, stdout, stderr } = spawnSync('setpriv', args, { encoding: 'utf8', cwd: dir, env, timeout: 240_000 });
    if (/EACCES|Cannot find module/.test(stderr)) return context.skip('another user cannot get to this repository');
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.match(stdout, /pass [1-9]/);
  });
} else
  describe('What the kernel counts for an ordinary user', () => {
    let host: Host;
    let honest: string;
    let isApart = false;
    before(async () => {
      host = await startHost({ capacityMb: CAPACITY_MB });
      isApart = host.agent.abilities.some(
        ({ name, available, detail }) => name === 'sandbox' && available && /user namespace/.test(detail),
      );
      if (isApart) honest = await host.start(PYTHON, HONEST);
    });
    after(() => host.dispose());
    const isWell = async (): Promise<void> => {
      const ended = await host.ended(host.run(honest));
      assert.deepEqual(JSON.parse(ended.result.toString()), [1, 'hi\n'], ended.error.toString());
    };

    for (const [what, files] of [
      ['one process', watches(1, 'fill()')],
      ['forty at once', watches(40, 'fill()')],
      ['processes whose first thread has ended', watches(4, 'hide()')],
    ] as const)
      it(`descriptors watched by epoll: a function ends before it has those of the agent, by ${what}`, async (context) => {
        if (!isApart) return context.skip('this kernel refuses user namespaces');
        const id = host.run(await host.start({ ...PYTHON, memoryMb: 1024, maxProcesses: 200 }, files));
        let rounds = 0;
        while (!host.reports.some(({ eventId, report }) => eventId === id && report?.$case === 'ended')) {
          await isWell();
          rounds++;
        }
        const ended = await host.ended(id);
        assert.equal(ended.outcome, Outcome.OUT_OF_MEMORY);
        assert.match(errorOf(ended).errorMessage, /more than its share of what its host counts: watches/);
        assert.ok(rounds > 0);
        await isWell();
      });

    for (const [what, most, one] of [
      ['inotify instances', SHARES.inotify, 'return checked(libc.inotify_init())'],
      [
        'signals that wait',
        SHARES.pending,
        'if not held: signal.pthread_sigmask(signal.SIG_BLOCK, [40])\nchecked(libc.sigqueue(os.getpid(), 40, ctypes.c_void_p(0)))',
      ],
    ] as const)
      it(`${what}: a function has a share of them, and leaves the rest to others`, async (context) => {
        if (!isApart) return context.skip('this kernel refuses user namespaces');
        const hostile = await Promise.all([1, 2].map(() => host.start(PYTHON, takes(one))));
        const ids = hostile.map((instance) => host.run(instance));
        for (const id of ids) {
          const [, count] = (await host.line(id, /^full/)).line?.text.split(' ') ?? [];
          assert.ok(Number(count) <= (most ?? 0), `${count} of ${most}`);
          assert.ok(Number(count) > 0);
        }
        await isWell();
        for (const id of ids) {
          host.stop(id, 'FORCE');
          assert.equal((await host.ended(id)).outcome, Outcome.FORCE_KILLED);
        }
      });

    it('message queues: one function cannot use them all', async (context) => {
      if (!isApart) return context.skip('this kernel refuses user namespaces');
      const open = 'return checked(libc.mq_open(b"/q%d" % len(held), os.O_CREAT | os.O_RDWR, 0o600, None))';
      for (const id of [1, 2].map(async () => host.run(await host.start(PYTHON, takes(open))))) {
        const [, count, why] = (await host.line(await id, /^full/)).line?.text.split(' ') ?? [];
        assert.deepEqual([count, why], ['1', 'EMFILE']);
      }
      await isWell();
    });
  });
