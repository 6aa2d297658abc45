import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import {
  KillSignal,
  TerminationStep_Delivery as Delivery,
  TerminationStep_Disposition as Disposition,
} from '@evenfall/contracts/v1/termination';
import { patient } from '@evenfall/testkit';
import { durationOfMs } from '@evenfall/time';
import { hostTasksOf } from './adapters/process/isolation/gvisor.ts';
import { listPids, readEnvironment, readUid } from './adapters/process/proc-fs.ts';
import { errorOf, type Host, isAlive, startHost } from './testing/host.ts';
import { reasonsToSkip, reasonToSkip, SANDBOXES } from './testing/sandboxes.ts';

const PYTHON = { runtime: 'python3', handler: 'index.handler' };
const isRoot = process.getuid?.() === 0;

/** Of an instance, as this host numbers them. */
const pidsOf = (instanceId: string): number[] =>
  listPids().filter((pid) => `${readEnvironment(pid)}\0`.includes(`EVENFALL_INSTANCE_ID=${instanceId}\0`));
const python = (body: string): Record<string, string> => ({
  'index.py': `import errno, os, signal, subprocess, sys, time\ndef handler(e, c):\n${body.replace(/^/gm, '    ')}\n`,
});
/** Of Debian: adm, disk, sudo. */
const GROUPS = [4, 6, 27];
const ECHO = python('return e');
const has = (host: Host, name: string): boolean => host.agent.abilities.some((each) => each.name === name && each.available);

const skipOf = await reasonsToSkip(SANDBOXES, (sandbox) => reasonToSkip(sandbox));

for (const sandbox of SANDBOXES) {
  describe(`A function in sandbox ${sandbox}`, { skip: skipOf(sandbox) }, () => {
    let host: Host;
    const groups = process.getgroups?.() ?? [];
    before(async () => {
      // An agent whose user is in groups, as an administrator's is: none of them is a function's.
      process.setgroups?.([0, ...GROUPS]);
      host = await startHost({ sandbox });
    });
    after(async () => {
      await host.dispose();
      process.setgroups?.(groups);
    });
    const call = async (files: Record<string, string>, payload: unknown = {}, more: object = {}) => {
      const instance = await host.start({ ...PYTHON, ...more }, files);
      return { instance, ended: await host.ended(host.run(instance, payload)) };
    };
    const resultOf = async (files: Record<string, string>, payload: unknown = {}, more: object = {}): Promise<unknown> => {
      const { ended } = await call(files, payload, more);
      assert.equal(ended.outcome, Outcome.RETURNED, ended.error.toString());
      return JSON.parse(ended.result.toString());
    };

    it('has a user of its own, no rights, limits, and no descriptors but its own', async () => {
      const code = python(
        [
          'import resource',
          'status = open("/proc/self/status").read()',
          'of = lambda name: ([l.split()[1] for l in status.splitlines() if l.startswith(name + ":")] or ["not said"])[0]',
          'rights = [of(n) for n in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")]',
          'limits = [resource.getrlimit(n) for n in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_CORE)]',
          'fds = [f for f in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + f)]',
          'return {"uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(), "rights": rights, "limits": limits, "fds": sorted(fds)}',
        ].join('\n'),
      );
      // What the function above returns.
      type Seen = { uid: number; gid: number; groups: number[]; rights: string[]; limits: number[][]; fds: string[] };
      const [one, two] = (await Promise.all([resultOf(code), resultOf(code)])) as [Seen, Seen];
      assert.ok(one.uid >= 900_000 && one.uid <= 909_999);
      assert.notEqual(one.uid, two.uid);
      assert.deepEqual([one.gid, one.groups.filter((each) => each !== one.gid)], [one.uid, []]);
      const notSaid = sandbox === 'gvisor' ? 'not said' : undefined; // by the kernel of the sandbox
      assert.deepEqual(one.rights, [...Array.from({ length: 4 }, () => '0000000000000000'), notSaid ?? '0000000000000000', notSaid ?? '1']);
      assert.deepEqual(one.limits, [
        [1024, 1024],
        [256, 256],
        [0, 0],
      ]);
      assert.deepEqual(one.fds, ['0', '1', '2', '3']);
    });

    it('leaves no note of its mounts with the host, whose list would grow for ever', async () => {
      await resultOf(ECHO);
      const noted = existsSync('/run/mount/utab') ? readFileSync('/run/mount/utab', 'utf8') : '';
      assert.equal(noted.includes(host.dataDir), false);
    });

    it('gets its complete variables, and commands nothing that starts it', async () => {
      const environment = { LD_PRELOAD: '/no/such.so', ODD: `a'b"c\n$HOME \\ \`id\` é`, PATH: '/usr/bin:/bin' };
      const instance = await host.start({ ...PYTHON, environment }, python('return dict(os.environ)'));
      const id = host.run(instance);
      const seen = JSON.parse((await host.ended(id)).result.toString()) as Record<string, string>;
      for (const [name, value] of Object.entries(environment)) assert.equal(seen[name], value);
      const said = host.lines.filter(({ eventId, line }) => eventId === id && line?.text.includes('/no/such.so'));
      assert.equal(said.length, 1, 'the loader of the function’s own program alone has read it');
    });

    it('neither reads nor signals another, nor the agent', async () => {
      const victim = await host.start(PYTHON, python('open("/tmp/secret", "w").write("x")\nprint("up", flush=True)\ntime.sleep(60)'));
      const victimEvent = host.run(victim);
      await host.line(victimEvent, 'up');
      const pids = pidsOf(victim).filter((pid) => readUid(pid) !== 0);
      assert.ok(pids.length > 0);
      const attempts = [
        'def fault(action):',
        '    try:',
        '        action()',
        '    except OSError as error:',
        '        return errno.errorcode[error.errno]',
        '    return "it worked"',
        'own = os.path.dirname(os.path.abspath(__file__))',
        'tries = {',
        '  "environ": [lambda p=p: open("/proc/%d/environ" % p).read() for p in e["pids"]],',
        '  "memory": [lambda p=p: open("/proc/%d/mem" % p, "rb").read(1) for p in e["pids"]],',
        '  "its tmp": [lambda p=p: os.listdir("/proc/%d/root/tmp" % p) for p in e["pids"]] + [lambda: open("/tmp/secret")],',
        '  "signal": [lambda p=p: os.kill(p, 0) for p in e["pids"] + [e["agent"]]],',
        '  "agent": [lambda: os.listdir(e["home"] + "/tmp"), lambda: os.listdir(e["home"] + "/log-spool"), lambda: os.listdir("/proc/%d/fd" % e["agent"])],',
        '  "code": [lambda: open(__file__, "a"), lambda: open(own + "/new", "w"), lambda: os.chmod(own, 0o777)],',
        '}',
        'return {name: [fault(action) for action in actions] for name, actions in tries.items()}',
      ].join('\n');
      const found = (await resultOf(python(attempts), { pids, agent: process.pid, home: host.dataDir })) as Record<string, string[]>;
      for (const [name, faults] of Object.entries(found))
        for (const fault of faults) assert.match(fault, /^(EACCES|EPERM|ENOENT|ESRCH|EROFS)$/, `${name}: ${faults.join()}`);
      host.stop(victimEvent, 'FORCE');
      await host.ended(victimEvent);
    });

    it('fills its own /tmp and no other', async () => {
      const fill = python(
        [
          'block, size = b"x" * 1048576, 0',
          'with open("/tmp/fill", "wb", buffering=0) as file:',
          '    try:',
          '        while size < 2**30:',
          '            size += file.write(block)',
          '    except OSError as error:',
          '        return [errno.errorcode[error.errno], size]',
        ].join('\n'),
      );
      const [fault, size] = (await resultOf(fill, {}, { timeout: durationOfMs(60_000) })) as [string, number];
      assert.equal(fault, 'ENOSPC');
      const most = (sandbox === 'bubblewrap' ? 384 : 512) * 2 ** 20;
      assert.ok(size > most - 12 * 2 ** 20 && size <= most, String(size));
      assert.deepEqual(await resultOf(python('open("/tmp/a", "w").write("x" * 9999)\nreturn os.listdir("/tmp").count("fill")')), 0);
    });

    it('bounds a fork bomb, which ends completely', async () => {
      const bomb = python(
        [
          'def burst():',
          '    while True:',
          '        try:',
          '            if os.fork() == 0: os.setsid()',
          '        except OSError as error:',
          '            if os.getpid() == first: return errno.errorcode[error.errno]',
          '            time.sleep(0.1)',
          'first = os.getpid()',
          'fault = burst()',
          'print(fault, flush=True)',
          'time.sleep(60)',
        ].join('\n'),
      );
      const instance = await host.start({ ...PYTHON, memoryMb: 3072, timeout: durationOfMs(60_000) }, bomb);
      const id = host.run(instance);
      // A sandbox that has to serve all of them at once may come to its own bound on this host before they come to theirs, which is its end.
      const isBounded = await host.until(() => {
        const hasEnded = host.reports.some((each) => each.eventId === id && each.report?.$case === 'ended');
        if (sandbox === 'gvisor' && hasEnded) return 'ended';
        return host.lines.some(({ eventId, line }) => eventId === id && line?.text === 'EAGAIN') && 'refused';
      }, 'a bound');
      if (isBounded === 'ended') {
        const ended = await host.ended(id);
        assert.deepEqual([ended.outcome, ended.signal], [Outcome.DIED_OF, 'SIGKILL']);
        assert.deepEqual(await resultOf(ECHO, 'afterwards'), 'afterwards');
        return;
      }
      const leader = pidsOf(instance).find((pid) => (readUid(pid) ?? 0) >= 900_000) ?? 0;
      const uid = readUid(leader);
      const count = listPids().filter((pid) => readUid(pid) === uid).length;
      // A process of a sandbox is one of the host or two; a few are the sandbox itself.
      assert.ok(count > 20 && count <= (sandbox === 'gvisor' ? hostTasksOf(256) : 256), String(count));
      assert.deepEqual(await resultOf(ECHO, 'meanwhile'), 'meanwhile');
      host.stop(id, 'FORCE');
      assert.equal((await host.ended(id)).outcome, Outcome.FORCE_KILLED);
      assert.deepEqual(
        listPids().filter((pid) => readUid(pid) === uid && isAlive(pid)),
        [],
      );
    });

    it('finds what has left its session, changed its name and emptied its environment', async () => {
      const hide = python(
        [
          "script = \"import os,sys,time\\nif os.fork(): os._exit(0)\\nos.setsid()\\nif os.fork(): os._exit(0)\\nopen('/proc/self/comm','w').write('kworker')\\nopen(sys.argv[1],'w').close()\\ntime.sleep(3600)\"",
          'subprocess.run([sys.executable, "-c", script, "/tmp/up"], env={}, close_fds=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)',
          'while not os.path.exists("/tmp/up"): time.sleep(0.01)',
          'print("hidden", os.getuid(), flush=True)',
          'time.sleep(60)',
        ].join('\n'),
      );
      const instance = await host.start(PYTHON, hide);
      const id = host.run(instance);
      const uid = Number((await host.line(id, /^hidden/)).line?.text.split(' ')[1]);
      const alive = (): number[] => listPids().filter((pid) => readUid(pid) === uid && isAlive(pid));
      assert.ok(alive().length >= 2);
      host.stop(id, 'FORCE');
      await host.ended(id);
      assert.deepEqual(alive(), []);
    });

    it('is out of memory, not killed for another reason, when it uses more than it has faster than the agent looks', async () => {
      const { ended } = await call(python('hoard = b"x" * (3 * 2**30)\nreturn len(hoard)'), {}, { memoryMb: 128 });
      assert.deepEqual([ended.outcome, ended.statusCode], [Outcome.OUT_OF_MEMORY, 434]);
    });

    it('may close its channel and its output, and only harms itself', async () => {
      const { ended } = await call(python('os.close(3)\ntime.sleep(60)'), {}, { timeout: durationOfMs(1_000) });
      assert.equal(ended.statusCode, 433);
      const { ended: mute } = await call(python('os.close(1)\nos.close(2)\nreturn 1'));
      assert.equal(mute.result.toString(), '1');
      assert.deepEqual(await resultOf(ECHO, 'unharmed'), 'unharmed');
    });

    it('may write a gigabyte, of which a megabyte is kept', async () => {
      const flood = python('line = b"y" * 65535 + b"\\n"\nfor _ in range(16384): os.write(1, line)\nreturn "done"');
      const instance = await host.start({ ...PYTHON, timeout: durationOfMs(patient(60_000)) }, flood);
      const before = process.memoryUsage().rss;
      const id = host.run(instance);
      const ended = await host.until(
        () => host.reports.find((each) => each.eventId === id && each.report?.$case === 'ended'),
        'the end',
        60_000,
      );
      assert.equal(ended.report?.$case === 'ended' && ended.report.value.result.toString(), '"done"');
      const kept = host.lines.filter(({ eventId }) => eventId === id).reduce((sum, { line }) => sum + (line?.text.length ?? 0), 0);
      assert.ok(kept < 2 ** 21, String(kept));
      assert.ok(process.memoryUsage().rss - before < 2 ** 29);
    });

    it('runs out of files by itself', async () => {
      const open = python(
        'files = []\ntry:\n    while True: files.append(open("/dev/null"))\nexcept OSError as error:\n    return [errno.errorcode[error.errno], len(files)]',
      );
      const [fault, count] = (await resultOf(open)) as [string, number];
      assert.equal(fault, 'EMFILE');
      assert.ok(count < 1024);
      assert.deepEqual(await resultOf(ECHO, 'unharmed'), 'unharmed');
    });

    it('does not reach the runtime API of another', async () => {
      const runtime = [
        '#!/usr/bin/python3',
        'import os, time, urllib.request',
        'api = "http://%s/2018-06-01/runtime/invocation/" % os.environ["AWS_LAMBDA_RUNTIME_API"]',
        'while True:',
        '    with urllib.request.urlopen(api + "next") as event: id, body = event.headers["Lambda-Runtime-Aws-Request-Id"], event.read()',
        '    urllib.request.urlopen(api + id + "/response", data=b\'"\' + os.environ["AWS_LAMBDA_RUNTIME_API"].encode() + b\'"\')',
      ].join('\n');
      const victim = await host.start({ runtime: 'custom', handler: 'h' }, { bootstrap: runtime });
      const address = JSON.parse((await host.ended(host.run(victim))).result.toString()) as string;
      const attack = python(
        'import urllib.request\ntry:\n    return urllib.request.urlopen("http://%s/2018-06-01/runtime/invocation/next" % e, timeout=20).read().decode()\nexcept Exception as error:\n    return type(error).__name__',
      );
      assert.match(String(await resultOf(attack, address)), /^(ConnectionResetError|RemoteDisconnected|URLError)$/);
      assert.equal((await host.ended(host.run(victim))).result.toString(), JSON.stringify(address));
    });

    it('receives its signal, and dies of it if it does not listen', async () => {
      const isOutOfSight = sandbox === 'gvisor';
      const listens = python(
        'signal.signal(signal.SIGTERM, lambda *_: sys.stdout.write("received\\n"))\nprint("up", flush=True)\nsignal.pause()\nreturn "END"',
      );
      const stopped = async (files: Record<string, string>) => {
        const id = host.run(await host.start(PYTHON, files));
        await host.line(id, 'up');
        host.stop(id, 'GRACEFUL', { killSignal: KillSignal.SIGTERM, gracePeriod: durationOfMs(30_000) });
        return host.ended(id);
      };
      const listening = await stopped(listens);
      assert.deepEqual([listening.outcome, listening.result.toString()], [Outcome.RETURNED, '"END"']);
      assert.deepEqual(
        listening.stop?.steps.map(({ disposition, delivery }) => [disposition, delivery]),
        [[isOutOfSight ? Disposition.UNKNOWN : Disposition.CAUGHT, Delivery.DELIVERED]],
      );
      const deaf = await stopped(python('print("up", flush=True)\ntime.sleep(60)'));
      assert.deepEqual([deaf.outcome, deaf.signal], [Outcome.DIED_OF, 'SIGTERM']);
      assert.equal(deaf.stop?.steps[0]?.disposition, isOutOfSight ? Disposition.UNKNOWN : Disposition.DEFAULT);
    });

    it('has rules where its host has them', () => {
      for (const name of ['sandbox', 'own-users', 'private-tmp', 'complete-end', 'process-limit']) assert.ok(has(host, name), name);
    });
  });
}

describe('A host whose disk is full', { skip: mayMount() ? false : 'only who may mount can try' }, () => {
  it('fails the start that has no room, and runs what has', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'evenfall-small-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', dataDir]);
    try {
      const host = await startHost({ dataDir });
      const large = await host.start(PYTHON, { ...ECHO, 'data.bin': randomBytes(6 * 2 ** 20) });
      const ended = await host.ended(host.run(large));
      assert.deepEqual([ended.outcome, ended.statusCode], [Outcome.START_FAILED, 500]);
      assert.match(errorOf(ended).errorMessage, /ENOSPC/);
      const small = await host.start(PYTHON, ECHO);
      assert.equal((await host.ended(host.run(small, 'fits'))).result.toString(), '"fits"');
      await host.dispose();
    } finally {
      execFileSync('umount', ['-l', dataDir]);
      rmSync(dataDir, { recursive: true, force: true });
    }
  });
});

function mayMount(): boolean {
  return isRoot && spawnSync('unshare', ['--mount', '--', 'true']).status === 0;
}
