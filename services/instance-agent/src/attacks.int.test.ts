// What a hostile function tries against its neighbours and its host, each with what stops it. docs/guides/isolation.md has the table.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import { Containment } from '@evenfall/contracts/v1/termination';
import { listPids, readEnvironment, readStatus } from './adapters/process/proc-fs.ts';
import { type Host, isAlive, startHost } from './testing/host.ts';
import { reasonsToSkip, reasonToSkip } from './testing/sandboxes.ts';

const PYTHON = { runtime: 'python3', handler: 'index.handler' };
const CUSTOM = { runtime: 'custom', handler: 'h' };

/** A custom runtime in Python that serves one event after another; `first` is the first thing it does. */
const runtime = (first: string, body: string): string => `#!/usr/bin/python3
${first}
import json, os, urllib.request
api = "http://%s/2018-06-01/runtime/invocation/" % os.environ["AWS_LAMBDA_RUNTIME_API"]
def answer(e):
${body.replace(/^/gm, '    ')}
while True:
    with urllib.request.urlopen(api + "next") as event: id, e = event.headers["Lambda-Runtime-Aws-Request-Id"], json.load(event)
    urllib.request.urlopen(api + id + "/response", data=json.dumps(answer(e)).encode())
`;

const uidsOf = (pid: number): number[] => {
  try {
    return (/^Uid:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? '').split(/\s+/).map(Number);
  } catch {
    return []; // it has just ended
  }
};
/** Whatever a process reports of itself: the owner of /proc/PID is root where it is not dumpable. */
const livingOf = (uid: number): number[] => listPids().filter((pid) => uidsOf(pid).includes(uid) && isAlive(pid));

const PLACES = ['process', 'bubblewrap', 'gvisor'] as const;
const skipOf = await reasonsToSkip(PLACES, (sandbox) => reasonToSkip(sandbox));

for (const sandbox of PLACES) {
  describe(`A function that attacks, in sandbox ${sandbox}`, { skip: skipOf(sandbox) }, () => {
    const isGvisor = sandbox === 'gvisor';
    /** Where /proc shows the first process of the namespace; what may be done to it is another thing. */
    const seesInit = sandbox !== 'process';
    let host: Host;
    before(async () => {
      host = await startHost({ sandbox });
    });
    after(() => host.dispose());

    const resultOf = async (fn: object, files: Record<string, string>, payload: unknown = {}): Promise<unknown> => {
      const ended = await host.ended(host.run(await host.start(fn, files), payload));
      assert.equal(ended.outcome, Outcome.RETURNED, ended.error.toString());
      return JSON.parse(ended.result.toString());
    };
    const python = (body: string): Record<string, string> => ({
      'index.py': `import ctypes, errno, os, socket\ndef handler(e, c):\n${body.replace(/^/gm, '    ')}\n`,
    });
    /** What each call of the C library leaves in errno; 0 where it worked. */
    const errnosOf = async (calls: Readonly<Record<string, string>>): Promise<Record<string, string>> => {
      const tries = Object.entries(calls).map(([name, call]) => `  ${JSON.stringify(name)}: lambda: libc.syscall(${call}),`);
      const code = [
        'libc = ctypes.CDLL(None, use_errno=True)',
        'out = {}',
        'for name, call in {',
        ...tries,
        '}.items():',
        '    ctypes.set_errno(0)',
        '    out[name] = "it worked" if call() >= 0 else errno.errorcode[ctypes.get_errno()]',
        'return out',
      ];
      return (await resultOf(PYTHON, python(code.join('\n')))) as Record<string, string>;
    };

    it('is in its cgroup, its namespaces and its user when its first instruction runs', async () => {
      const first = 'first = [open("/proc/self/cgroup").read(), open("/proc/self/status").read()]';
      const [cgroups, status] = (await resultOf(CUSTOM, { bootstrap: runtime(first, 'return first') })) as [string, string];
      const joined = cgroups.split('\n').filter((line) => line.includes('/evenfall/'));
      // The kernel of a sandbox reports neither; gvisor.int.test.ts looks at them from outside.
      if (!isGvisor) {
        assert.ok(joined.length > 0, cgroups);
        assert.match(status, /^NoNewPrivs:\s+1$/m);
      }
      assert.match(status, /^Seccomp:\s+2$/m);
      assert.ok(Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]) >= 900_000);
      assert.match(status, /^CapBnd:\s+0+$/m);
    });

    it('leaves nothing by forking before anything else and hiding, twelve at once', async () => {
      const fork = `import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        import ctypes
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
        for fd in range(256):
            try: os.close(fd)
            except OSError: pass
        os.execve("/bin/sleep", ["sleep", "3600"], {})
    os._exit(0)
os.wait()`;
      const instances = await Promise.all(
        Array.from({ length: 12 }, () =>
          host.start(CUSTOM, { bootstrap: runtime(fork, 'print("up", os.getuid(), flush=True)\nimport time\ntime.sleep(60)') }),
        ),
      );
      const ids = instances.map((instance) => host.run(instance));
      const uids = await Promise.all(ids.map(async (id) => Number((await host.line(id, /^up/)).line?.text.split(' ')[1])));
      for (const uid of uids) assert.ok(livingOf(uid).length >= 2);
      for (const id of ids) host.stop(id, 'FORCE');
      for (const id of ids) {
        const ended = await host.ended(id);
        assert.deepEqual([ended.outcome, ended.stop?.containment], [Outcome.FORCE_KILLED, Containment.PID_NAMESPACE]);
        // A gVisor sandbox that is too busy to count them is ended without a count.
        if (!isGvisor || ended.stop?.sweptProcessCount !== 0) assert.equal(ended.stop?.sweptProcessCount, 1);
      }
      for (const uid of uids) assert.deepEqual(livingOf(uid), []);
    });

    for (const network of isGvisor ? (['auto'] as const) : (['auto', 'host'] as const))
      it(`with the port of another at another address gets none of its events, where the network is ${network}`, async (context) => {
        const host = await startHost({ network, sandbox });
        context.after(() => host.dispose());
        const waits = runtime('import os', 'return "safe"');
        const victim = await host.start(CUSTOM, { bootstrap: waits });
        assert.equal((await host.ended(host.run(victim))).result.toString(), '"safe"');
        const thief = python(
          [
            'found = []',
            'for line in open("/proc/net/tcp").read().splitlines()[1:]:',
            '    own, peer, state, uid = [line.split()[n] for n in (1, 2, 3, 7)]',
            '    if state != "01" or int(uid) < 900000 or int(uid) == os.getuid(): continue',
            '    mine, api = int(own.split(":")[1], 16), int(peer.split(":")[1], 16)',
            '    try:',
            '        s = socket.create_connection(("127.0.0.1", api), timeout=2, source_address=("127.0.0.2", mine))',
            '        s.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")',
            '        found.append(s.recv(4096).decode())',
            '    except OSError as fault: found.append(type(fault).__name__)',
            'return found',
          ].join('\n'),
        );
        const tried = host.run(await host.start(PYTHON, thief));
        const pending = host.run(victim, { secret: 4711 });
        assert.equal((await host.ended(pending)).result.toString(), '"safe"');
        const ended = await host.ended(tried);
        const found = JSON.parse(ended.result.toString()) as string[];
        // In a network of its own there is no other process to find.
        const isOwn = host.agent.abilities.some(({ name, available }) => name === 'own-network' && available);
        assert.equal(found.length > 0, !isOwn, 'it finds a connection of the victim where it shares its network');
        for (const each of found) assert.match(each, /^(|ConnectionResetError|BrokenPipeError)$/);
      });

    it('finds no user ids to run as root with, whatever names it uses', async () => {
      const names = Array.from({ length: 10 }, (_, part) => {
        const server = createServer().on('error', () => undefined); // another process has it already, which is as good
        return server.listen(`\0evenfall-agent-uids-${900_000 + 1000 * part}`);
      });
      const other = await startHost();
      assert.ok(other.agent.abilities.some(({ name, available }) => name === 'own-users' && available));
      await other.dispose();
      for (const server of names) server.close();
    });

    it('makes no system calls that reach the kernel itself, its keys, or other namespaces', async () => {
      const number: Record<string, number> =
        process.arch === 'x64'
          ? {
              unshare: 272,
              mount: 165,
              keyctl: 250,
              add_key: 248,
              bpf: 321,
              perf: 298,
              userfaultfd: 323,
              uring: 425,
              aio: 206,
              clone3: 435,
              clone: 56,
              setns: 308,
              socket: 41,
              socketpair: 53,
              personality: 135,
              unknown: 600,
            }
          : {
              unshare: 97,
              mount: 40,
              keyctl: 219,
              add_key: 217,
              bpf: 280,
              perf: 241,
              userfaultfd: 282,
              uring: 425,
              aio: 0,
              clone3: 435,
              clone: 220,
              setns: 268,
              socket: 198,
              socketpair: 199,
              personality: 92,
              unknown: 600,
            };
      const [user, network] = [0x1000_0000, 0x4000_0000];
      assert.deepEqual(
        await errnosOf({
          unshare: `${number['unshare']}, ${user}`,
          mount: `${number['mount']}, b"none", b"/tmp", b"tmpfs", 0, 0`,
          keyctl: `${number['keyctl']}, 0, -3, 1`,
          add_key: `${number['add_key']}, b"user", b"x", b"y", 1, -3`,
          bpf: `${number['bpf']}, 0, 0, 0`,
          perf: `${number['perf']}, 0, 0, -1, -1, 0`,
          userfaultfd: `${number['userfaultfd']}, 0`,
          io_uring: `${number['uring']}, 8, 0`,
          io_setup: `${number['aio']}, 1024, ctypes.create_string_buffer(8)`,
          clone3: `${number['clone3']}, 0, 0`,
          'clone, user': `${number['clone']}, ${user | 17}, 0, 0, 0, 0`,
          'clone, network': `${number['clone']}, ${network | 17}, 0, 0, 0, 0`,
          'clone, thread with its own descriptors': `${number['clone']}, 67840, 0, 0, 0, 0`,
          setns: `${number['setns']}, 0, 0`,
          'socket, vsock': `${number['socket']}, 40, 1, 0`,
          'socket, crypto': `${number['socket']}, 38, 5, 0`,
          'socket, packets': `${number['socket']}, 17, 3, 0`,
          'socket pair, vsock': `${number['socketpair']}, 40, 1, 0, ctypes.create_string_buffer(8)`,
          personality: `${number['personality']}, 0x0040000`,
          unknown: `${number['unknown']}, 0`,
        }),
        {
          unshare: 'EPERM',
          mount: 'EPERM',
          keyctl: 'EPERM',
          add_key: 'EPERM',
          bpf: 'EPERM',
          perf: 'EPERM',
          userfaultfd: 'EPERM',
          io_uring: 'ENOSYS',
          io_setup: 'ENOSYS',
          clone3: 'ENOSYS',
          'clone, user': 'EPERM',
          'clone, network': 'EPERM',
          'clone, thread with its own descriptors': 'EPERM',
          setns: 'EPERM',
          'socket, vsock': 'EPERM',
          'socket, crypto': 'EPERM',
          'socket, packets': 'EPERM',
          'socket pair, vsock': 'EPERM',
          personality: 'EPERM',
          unknown: 'ENOSYS',
        },
      );
    });

    it('leaves no memory behind in objects of System V or in shared memory', async () => {
      // Other processes of the host (a Postgres of another test) have objects too and use them meanwhile, so
      // only keys are compared, and only those that the function uses.
      const keys = [0, 1, 2, 3].map((offset) => 0x45000000 + process.pid * 4 + offset);
      const hostKeys = (): number[] =>
        ['shm', 'msg'].flatMap((kind) => {
          const rows = readFileSync(`/proc/sysvipc/${kind}`, 'latin1').trimEnd().split('\n').slice(1);
          return rows.map((row) => Number(row.trim().split(/\s+/)[0]));
        });
      const code = [
        'libc = ctypes.CDLL(None, use_errno=True)',
        `made = [libc.shmget(key, 1 << 20, 0o1666) >= 0 for key in ${JSON.stringify(keys)}] + [libc.msgget(key, 0o1666) >= 0 for key in ${JSON.stringify(keys)}]`,
        'open("/dev/shm/left", "wb").write(b"x" * 1000)',
        'return made',
      ];
      assert.deepEqual(await resultOf(PYTHON, python(code.join('\n'))), Array(8).fill(true));
      assert.deepEqual(
        hostKeys().filter((key) => keys.includes(key)),
        [],
      );
      const looks = ['libc = ctypes.CDLL(None)', `return [libc.shmget(${keys[0]}, 0, 0) >= 0, os.listdir("/dev/shm")]`];
      assert.deepEqual(await resultOf(PYTHON, python(looks.join('\n'))), [false, []]);
    });

    it('writes nowhere but into its own room, and sees no device, process or folder of others', async () => {
      const code = [
        'writable = []',
        'for root, folders, files in os.walk("/"):',
        '    if root in ("/proc", "/sys"): folders.clear(); continue',
        // A sandbox needs half a minute to walk through all of it.
        ...(isGvisor ? ['    if root.count("/") > 2: folders.clear()'] : []),
        '    if os.access(root, os.W_OK): writable.append(root)',
        'pids = [p for p in os.listdir("/proc") if p.isdigit()]',
        'return [sorted(w for w in writable if not any(w.startswith(o + "/") for o in writable)), len(pids), os.getpid() < 10, sorted(os.listdir("/dev")), os.listdir("/run")]',
      ];
      const [writable, count, isFirst, devices, run] = (await resultOf(PYTHON, python(code.join('\n')))) as [
        string[],
        number,
        boolean,
        string[],
        string[],
      ];
      // The `/dev` of a sandbox is in its own memory.
      assert.deepEqual(writable, [isGvisor ? '/dev' : '/dev/shm', '/tmp', '/var/tmp']);
      assert.deepEqual([count, isFirst], [seesInit ? 2 : 1, true]);
      assert.deepEqual(devices, [
        ...(sandbox === 'bubblewrap' ? ['core'] : []),
        'fd',
        'full',
        ...(isGvisor ? ['fuse'] : []),
        'null',
        'ptmx',
        'pts',
        'random',
        'shm',
        'stderr',
        'stdin',
        'stdout',
        'tty',
        'urandom',
        'zero',
      ]);
      if (sandbox === 'bubblewrap') return; // it shows the host's /run, to read
      assert.ok(
        run.every((name) => ['systemd', 'resolvconf', 'NetworkManager', ...(isGvisor ? ['evenfall-gvisor'] : [])].includes(name)),
        run.join(),
      );
    });

    it('cannot signal, stop or read the launcher and the first process of its namespace', async () => {
      const instance = await host.start(
        PYTHON,
        python(
          'for n in (9, 19, 15):\n    try: os.kill(1, n)\n    except OSError as f: e.setdefault("faults", []).append(errno.errorcode[f.errno])\nreturn [e.get("faults"), os.path.exists("/proc/1"), os.getppid()]',
        ),
      );
      const ended = await host.ended(host.run(instance));
      // Where it is seen, the first process is its parent.
      assert.deepEqual(JSON.parse(ended.result.toString()), [['EPERM', 'EPERM', 'EPERM'], seesInit, seesInit ? 1 : 0]);
      const launchers = listPids().filter(
        (pid) => readEnvironment(pid).includes(`EVENFALL_INSTANCE_ID=${instance}`) && readStatus(pid)?.state !== 'Z',
      );
      if (sandbox === 'process') assert.equal(launchers.length, 3);
    });
  });
}
