import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { ownersOfLeftovers } from './leftovers.ts';
import { ownProcesses } from './own-processes.ts';
import { endUser, findLauncher } from '../launch/launcher-program.ts';
import { listPids, readStat, readUid } from '../proc-fs.ts';
import { descendantsOf, sweepInstance, sweepUsers } from './sweep.ts';

/** The sweep as it works on a host without cgroups. */
describe('The sweep without a cgroup', () => {
  it('finds what left the session by its marker, and orphans by what was known of them', async () => {
    const script = [
      'import os, subprocess, sys',
      'subprocess.Popen(["sleep", "3600"], start_new_session=True)', // has the marker
      'child = subprocess.Popen(["sh", "-c", "sleep 3600 & wait"], start_new_session=True, env={"PATH": os.environ["PATH"]})', // has nothing but a parent
      'sys.stdout.write("up\\n"); sys.stdout.flush()',
      'child.wait()',
    ].join('\n');
    const leader = spawn('python3', ['-c', script], {
      env: { PATH: process.env['PATH'], EVENFALL_INSTANCE_ID: 'sweep-me' },
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(leader.stdout, 'data');
    const leaderPid = leader.pid ?? 0;
    let descendants = descendantsOf(leaderPid);
    for (const untilMs = Date.now() + 5000; descendants.size < 3 && Date.now() < untilMs;) descendants = descendantsOf(leaderPid);
    assert.equal(descendants.size, 3);
    leader.kill('SIGKILL');
    await once(leader, 'exit');
    assert.equal(
      await sweepInstance({ instanceId: 'sweep-me', leaderPid, leaderStart: '', uid: undefined, cgroup: undefined, descendants }),
      3,
    );
    for (const pid of descendants.keys()) assert.ok(['Z', undefined].includes(readStat(pid)?.state));
  });

  it(
    'outruns by its user what forks faster than it is found',
    { skip: process.getuid?.() === 0 ? false : 'only root can change users' },
    async () => {
      const uid = 909_998; // the default range's last part, which agents claim last
      const comet = 'import os, time\nos.setsid()\nwhile True:\n    if os.fork(): os._exit(0)\n';
      const drop = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--'];
      const leader = spawn('setpriv', [...drop, '/usr/bin/python3', '-c', comet], { env: {}, stdio: 'ignore' });
      await once(leader, 'exit');
      const ofUser = (): number[] => listPids().filter((pid) => readUid(pid) === uid && readStat(pid)?.state !== 'Z');
      await eventually(() => ofUser().length > 0, 10_000);
      assert.ok(((await endUser(findLauncher(), uid)) ?? -1) >= 0);
      assert.deepEqual(ofUser(), []);
    },
  );

  it(
    'ends by its user what lives on without its first thread, and looks like a zombie',
    { skip: process.getuid?.() === 0 ? false : 'only root can change users' },
    async () => {
      const uid = 909_997;
      const exit = process.arch === 'x64' ? 60 : 93;
      const ghost = `import ctypes, threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\nctypes.CDLL(None).syscall(${exit}, 0)\n`;
      const drop = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--'];
      const leader = spawn('setpriv', [...drop, '/usr/bin/python3', '-c', ghost], { env: {}, stdio: 'ignore' });
      const exited = once(leader, 'exit');
      const pid = leader.pid ?? 0;
      await eventually(() => /^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'latin1')), 10_000);
      assert.notEqual(readStat(pid)?.state, 'Z');
      assert.deepEqual(await sweepUsers(findLauncher(), { first: uid, last: uid }), { count: 1, lost: new Set() });
      assert.deepEqual(await exited, [null, 'SIGKILL']);
    },
  );

  it(
    'ends nothing in a container on the same kernel, whatever its user and its marks, and does not use that user',
    { skip: process.getuid?.() === 0 ? false : 'only root can make containers' },
    async () => {
      const uid = 909_996;
      const words = [
        '--pid',
        '--fork',
        '--kill-child',
        'setpriv',
        `--reuid=${uid}`,
        `--regid=${uid}`,
        '--clear-groups',
        '--',
        'sleep',
        '3600',
      ];
      const env = { PATH: process.env['PATH'], EVENFALL_INSTANCE_ID: 'one', EVENFALL_AGENT_ID: 'same', EVENFALL_AGENT_HOME: '/same' };
      const container = spawn('unshare', words, { env, stdio: 'ignore' });
      const ofUser = (): number[] => listPids().filter((pid) => readUid(pid) === uid && readStat(pid)?.state !== 'Z');
      try {
        await eventually(() => ofUser().length === 1, 10_000);
        // unshare itself has the marks too, and is of this namespace: it is not what this test is about.
        const drop = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--', 'sleep', '3600'];
        const own = spawn('setpriv', drop, { env: { PATH: process.env['PATH'] }, stdio: 'ignore' });
        await eventually(() => ofUser().length === 2, 10_000);
        assert.deepEqual(await sweepUsers(findLauncher(), { first: uid, last: uid }), { count: 1, lost: new Set([uid]) });
        if (own.signalCode === null) await once(own, 'exit');
        assert.equal(ofUser().length, 1);
        const [inside = 0] = ofUser();
        assert.equal(ownProcesses()(inside), false);
        assert.equal(ownProcesses()(process.pid), true);
      } finally {
        container.kill('SIGKILL');
        // A change of user has cleared its death signal.
        for (const pid of ofUser()) process.kill(pid, 'SIGKILL');
      }
    },
  );

  it(
    'removes what users of a killed agent left in shared folders and System V objects',
    { skip: process.getuid?.() === 0 ? false : 'only root can change users' },
    async () => {
      const uid = 909_995;
      const file = `/tmp/evenfall-sweep-${process.pid}`;
      const leaves = `import ctypes\nopen("${file}", "w")\nprint(ctypes.CDLL(None).shmget(0, 4096, 0o1600))`;
      const drop = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--'];
      const child = spawn('setpriv', [...drop, '/usr/bin/python3', '-c', leaves], { stdio: 'ignore' });
      await once(child, 'exit');
      assert.ok(existsSync(file));
      assert.ok(ownersOfLeftovers().has(uid));
      assert.deepEqual(await sweepUsers(findLauncher(), { first: uid, last: uid }), { count: 0, lost: new Set() });
      assert.equal(existsSync(file), false);
      assert.equal(ownersOfLeftovers().has(uid), false);
    },
  );
});
