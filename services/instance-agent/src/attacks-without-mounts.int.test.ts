// The shape of the agent's container image: root with six capabilities, so that a user of its own is all that keeps a function apart.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import { Containment } from '@evenfall/contracts/v1/termination';
import { foldersDownTo } from './domain/mount-plan.ts';
import { listPids } from './adapters/process/proc-fs.ts';
import { durationOfMs } from '@evenfall/time';
import { errorOf, type Host, isAlive, startHost } from './testing/host.ts';

const isRoot = process.getuid?.() === 0;
/** CAP_SYS_ADMIN (linux/capability.h). */
const mayMount = (BigInt(`0x${/^CapEff:\s+(\S+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0'}`) & (1n << 21n)) !== 0n;
const PYTHON = { runtime: 'python3', handler: 'index.handler', timeout: durationOfMs(300_000) };

/** Writes files of so many megabytes, in folders that are closed afterwards. */
const WRITE = `for path, size in e:
    path = path.replace("TMPDIR", os.environ["TMPDIR"])
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        for _ in range(size): file.write(b"x" * 2**20)
    if "hidden" in path: os.chmod(os.path.dirname(path), 0)`;
const FORKS = `pids = []
try:
    while len(pids) < 200:
        pid = os.fork()
        if pid == 0: time.sleep(300)
        pids.append(pid)
except OSError as f: fault = errno.errorcode[f.errno]
for pid in pids: os.kill(pid, 9)
return [fault, len(pids)]`;

const here = fileURLToPath(import.meta.url);
/** Functions have to get to the runtimes, which nothing puts back for them. */
const isClosed = foldersDownTo(here).some((folder) => (lstatSync(folder).mode & 0o001) === 0 && folder !== here);
const why = !isRoot ? 'only root can give away users' : isClosed && 'this repository lies in a folder that others may not enter';

if (isRoot && mayMount) {
  it('A function without mounts of its own: the tests below, by a process that may not mount', { skip: why }, () => {
    // Containers cannot write to cgroups either: with them the kernel would end everything by one command.
    const args = [
      ...['--mount', '--propagation', 'private', 'sh', '-c', 'umount -R -l /sys/fs/cgroup; exec setpriv "$@"', 'sh'],
      '--bounding-set=-all,+chown,+dac_override,+kill,+setgid,+setpcap,+setuid',
      '--',
      process.execPath,
      '--test-force-exit',
      here,
    ];
    const { status, stdout, stderr } = spawnSync('unshare', args, {
      encoding: 'utf8',
      env: { ...process.env, NODE_TEST_CONTEXT: undefined, PATH: '/usr/bin:/bin' },
      timeout: 240_000,
    });
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.match(stdout, /pass [1-9]/);
  });
} else
  describe('A function without mounts of its own', { skip: why }, () => {
    let host: Host;
    let dataDir: string;
    before(async () => {
      // Not below a private /tmp: functions have to get to their code.
      dataDir = mkdtempSync('/var/lib/evenfall-agent-');
      spawnSync('chmod', ['0711', dataDir]);
      process.setgroups?.([0, 4, 6, 27]); // of Debian: adm, disk, sudo
      host = await startHost({ dataDir });
    });
    after(async () => {
      await host.dispose();
      rmSync(dataDir, { recursive: true, force: true });
    });
    const python = (body: string): Record<string, string> => ({
      'index.py': `SECRET = "key-in-source"\nimport errno, os, time\ndef handler(e, c):\n${body.replace(/^/gm, '    ')}\n`,
    });
    const resultOf = async (files: Record<string, string>, payload: unknown = {}, more: object = {}): Promise<unknown> => {
      const ended = await host.ended(host.run(await host.start({ ...PYTHON, ...more }, files), payload));
      assert.equal(ended.outcome, Outcome.RETURNED, ended.error.toString());
      return JSON.parse(ended.result.toString());
    };

    it('has none of the groups of its agent', async () => {
      assert.deepEqual(
        process.getgroups?.().filter((each) => each !== 0),
        [4, 6, 27],
      );
      assert.deepEqual(await resultOf(python('return [each for each in os.getgroups() if each != os.getgid()]')), []);
    });

    it('has a user, no rights and a filter all the same', async () => {
      const abilities = host.agent.abilities.filter(({ available }) => available).map(({ name }) => name);
      for (const name of ['sandbox', 'own-users', 'system-calls', 'complete-end']) assert.ok(abilities.includes(name), name);
      assert.equal(abilities.includes('private-tmp'), false);
      const status = String(await resultOf(python('return open("/proc/self/status").read()')));
      assert.match(status, /^CapBnd:\s+0+$/m);
      assert.match(status, /^Seccomp:\s+2$/m);
    });

    it('reads no package of another, nor learns where it is', async () => {
      const victim = await host.start(PYTHON, python('print("up", flush=True)\ntime.sleep(300)'));
      const id = host.run(victim);
      await host.line(id, 'up');
      const look = [
        'own = os.path.dirname(os.path.abspath(__file__))',
        'found = []',
        'try: found += [n for n in os.listdir(os.path.dirname(own)) if n != os.path.basename(own)]',
        'except OSError as f: found.append(errno.errorcode[f.errno])',
        'for pid in filter(str.isdigit, os.listdir("/proc")):',
        '    try: text = open("/proc/%s/cmdline" % pid).read()',
        '    except OSError: continue',
        '    if os.path.dirname(own) in text: found.append(text)',
        'return found',
      ];
      assert.deepEqual(await resultOf(python(look.join('\n'))), ['EACCES']);
      host.stop(id, 'FORCE');
      await host.ended(id);
    });

    it('has as many processes as its function sets', async () => {
      const [fault, count] = (await resultOf(python(FORKS), {}, { maxProcesses: 24, memoryMb: 1_024 })) as [string, number];
      assert.equal(fault, 'EAGAIN');
      assert.ok(count > 16 && count <= 24, String(count));
    });

    it('leaves nothing in the folders that all share', async () => {
      const mark = `evenfall-left-${process.pid}`;
      const code = [
        `os.makedirs("/tmp/${mark}/a/b", mode=0o777)`,
        `open("/tmp/${mark}/a/b/file", "w").write("for the next one")`,
        `os.chmod("/tmp/${mark}/a", 0)`,
        `open("/var/tmp/${mark}", "w").close()`,
        `open("/dev/shm/${mark}", "w").close()`,
        `os.symlink("/etc", "/tmp/${mark}-link")`,
        'return 1',
      ];
      const instance = await host.start(PYTHON, python(code.join('\n')));
      assert.equal((await host.ended(host.run(instance))).statusCode, 200);
      host.send({ stopInstances: [{ instanceId: instance, cause: 0 }] });
      await host.gone(instance);
      for (const path of [`/tmp/${mark}`, `/var/tmp/${mark}`, `/dev/shm/${mark}`, `/tmp/${mark}-link`])
        assert.equal(existsSync(path), false, path);
      assert.ok(existsSync('/etc/passwd'));
    });

    it('leaves no System V objects, whichever user it gives them to', async () => {
      const code = [
        'import ctypes, struct',
        'libc = ctypes.CDLL(None)',
        'made = [libc.shmget(0, 1 << 20, 0o1666), libc.msgget(0, 0o1666), libc.semget(0, 3, 0o1666), libc.shmget(0, 4096, 0o1666)]',
        'room = ctypes.create_string_buffer(256)',
        'libc.shmctl(made[3], 2, room)', // IPC_STAT, and IPC_SET with another owner
        'struct.pack_into("II", room, 4, 65534, 65534)',
        'given = libc.shmctl(made[3], 1, room)',
        'print("made", os.getuid(), flush=True)',
        'return [min(made) >= 0, given]',
      ];
      const instance = await host.start(PYTHON, python(code.join('\n')));
      const id = host.run(instance);
      const uid = (await host.line(id, /^made/)).line?.text.split(' ')[1] ?? '';
      assert.deepEqual(JSON.parse((await host.ended(id)).result.toString()), [true, 0]);
      const rows = (): string[] =>
        ['shm', 'msg', 'sem'].flatMap((kind) =>
          readFileSync(`/proc/sysvipc/${kind}`, 'latin1')
            .split('\n')
            .filter((row) => row.split(/\s+/).includes(uid)),
        );
      assert.equal(rows().length, 4);
      host.send({ stopInstances: [{ instanceId: instance, cause: 0 }] });
      await host.gone(instance);
      assert.deepEqual(rows(), []);
    });

    it('ends with 434 where it has more on disk than its function may, wherever that is', async () => {
      const mark = `evenfall-full-${process.pid}`;
      const honest = await host.start({ ...PYTHON, tmpMb: 128 }, python(`${WRITE}\nprint("up", flush=True)\ntime.sleep(300)`));
      const kept = host.run(honest, [[`/tmp/${mark}-other`, 70]]);
      await host.line(kept, 'up');
      const code = python(`${WRITE}\nprint("up", flush=True)\ntime.sleep(300)`);
      for (const files of [
        [['TMPDIR/file', 70]],
        [[`/var/tmp/${mark}`, 70]],
        [[`/dev/shm/${mark}`, 70]],
        [
          [`/tmp/${mark}/hidden/deep/file`, 40],
          ['TMPDIR/a/b', 40],
        ],
      ]) {
        const ended = await host.ended(host.run(await host.start({ ...PYTHON, tmpMb: 64 }, code), files));
        assert.deepEqual([ended.outcome, ended.statusCode], [Outcome.OUT_OF_MEMORY, 434], JSON.stringify(files));
        assert.equal(errorOf(ended)['errorMessage'], 'Temporary files exceeded the 64 MB of tmp_mb');
      }
      const many = 'for n in range(60_000): open(os.environ["TMPDIR"] + "/%d" % n, "w").close()\ntime.sleep(300)';
      const ended = await host.ended(host.run(await host.start({ ...PYTHON, tmpMb: 64 }, python(many))));
      assert.equal(errorOf(ended)['errorMessage'], 'There were too many temporary files');
      assert.equal(
        host.reports.filter(({ eventId, report }) => eventId === kept && report?.$case === 'ended').length,
        0,
        'the honest one goes on',
      );
      host.stop(kept, 'FORCE');
      await host.ended(kept);
      for (const path of [`/tmp/${mark}`, `/var/tmp/${mark}`, `/dev/shm/${mark}`, `/tmp/${mark}-other`])
        assert.equal(existsSync(path), false, path);
    });

    it('counts what is sparse, linked twice or another’s for what it is', async () => {
      const mark = `evenfall-small-${process.pid}`;
      const code = [
        'own = os.environ["TMPDIR"]',
        'open(own + "/sparse", "w").truncate(2**40)',
        'open(own + "/once", "wb").write(b"x" * (40 * 2**20))',
        'os.link(own + "/once", own + "/twice")',
        'os.symlink("/", own + "/all")',
        `os.symlink("/usr", "/tmp/${mark}")`,
        'time.sleep(3)',
        'return "it lives"',
      ];
      const ended = await host.ended(host.run(await host.start({ ...PYTHON, tmpMb: 64 }, python(code.join('\n')))));
      assert.equal(ended.result.toString(), '"it lives"', ended.error.toString());
    });

    it('ends with its user, whatever it forks and however it hides', async () => {
      const code = [
        'import ctypes',
        'for _ in range(5):',
        '    if os.fork() == 0:',
        '        os.setsid()',
        '        if os.fork(): os._exit(0)',
        '        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)',
        '        while True:',
        '            if os.fork(): os._exit(0)', // it runs away from a process that looks
        'print("up", os.getuid(), flush=True)',
        'time.sleep(300)',
      ];
      const id = host.run(await host.start(PYTHON, python(code.join('\n'))));
      const uid = Number((await host.line(id, /^up/)).line?.text.split(' ')[1]);
      host.stop(id, 'FORCE');
      const ended = await host.ended(id);
      assert.deepEqual([ended.outcome, ended.stop?.containment], [Outcome.FORCE_KILLED, Containment.USER]);
      const left = listPids().filter((pid) => isAlive(pid) && statusOf(pid).includes(`\nUid:\t${uid}\t`));
      assert.deepEqual(left, []);
    });

    it('ends although a process of its own traces it, which alone is notified of its end then', async () => {
      const code = [
        'import ctypes',
        'own = os.getpid()',
        'libc = ctypes.CDLL(None)',
        'libc.prctl(0x59616D61, -1, 0, 0, 0)', // where only parents may trace
        'if os.fork() == 0:',
        '    os.setsid()',
        '    if os.fork(): os._exit(0)',
        '    print("traced", libc.ptrace(0x4206, own, 0, 0), flush=True)',
        '    while True: time.sleep(300)',
        'time.sleep(300)',
      ];
      const id = host.run(await host.start(PYTHON, python(code.join('\n'))));
      await host.line(id, 'traced 0');
      host.stop(id, 'FORCE');
      const ended = await host.ended(id);
      assert.deepEqual([ended.outcome, ended.stop?.containment], [Outcome.FORCE_KILLED, Containment.USER]);
    });

    it('ends although it stops whatever becomes its user', async () => {
      const code = [
        'import ctypes',
        'if os.fork() == 0:',
        '    os.setsid()',
        '    if os.fork(): os._exit(0)',
        '    print("up", flush=True)',
        '    kill = ctypes.CDLL(None).kill',
        '    while True: kill(-1, 19)',
        'while True: time.sleep(300)',
      ];
      // It depends on microseconds who comes first.
      for (let count = 0; count < 10; count++) {
        const id = host.run(await host.start(PYTHON, python(code.join('\n'))));
        await host.line(id, 'up');
        host.stop(id, 'FORCE');
        assert.equal((await host.ended(id)).outcome, Outcome.FORCE_KILLED);
      }
    });
  });

function statusOf(pid: number): string {
  try {
    return readFileSync(join('/proc', String(pid), 'status'), 'latin1');
  } catch {
    return ''; // it has just ended
  }
}
