import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readdirSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { closeInherited } from './close-inherited.ts';
import { findPosixSpawn } from './posix-spawn.ts';
import { type Child, type ChildEnd, spawnByFork, type SpawnChild } from './spawn-child.ts';

const byPosix = await findPosixSpawn();
assert.ok(byPosix, 'koffi is there');
closeInherited(); // of the test runner; an agent does the same when it starts
const endOf = (child: Child): Promise<ChildEnd> => new Promise((resolve) => child.onEnd(resolve));
const shell = (script: string) => ({ program: '/bin/sh', args: ['-c', script], env: { A: '1', EMPTY: '', WIDE: 'ä=b' } });

for (const [name, spawnChild] of Object.entries<SpawnChild>({ fork: spawnByFork, posix_spawn: byPosix }))
  describe(`A child by ${name}`, () => {
    it('has its descriptors and no others, its environment, `/`, a session, and the dispositions of a new process', async () => {
      const file = openSync('/etc/hostname', 'r');
      const script = `env | sort | tr '\\n' ' '; pwd; readlink /proc/self/fd/0 /proc/self/fd/4; ls -m /proc/$$/fd; ps -o sid= -p $$
        grep -E '^Sig(Blk|Ign)' /proc/self/status; cat <&3`;
      const child = spawnChild({ ...shell(script), descriptors: ['none', 'socket', 1, 'socket', file] });
      const ended = endOf(child);
      child.sockets[3]?.end('said to 3');
      assert.ok(child.sockets[1]);
      const said = (await text(child.sockets[1])).trim().split('\n');
      assert.match(said[0] ?? '', /^A=1 EMPTY= .*WIDE=ä=b \/$/);
      assert.deepEqual(said.slice(1, 4), ['/dev/null', '/etc/hostname', '0, 1, 2, 3, 4']);
      assert.equal(Number(said[4]), child.pid);
      assert.deepEqual([said[5], said[6]], ['SigBlk:\t0000000000000000', 'SigIgn:\t0000000000000000']);
      assert.equal(said[7], 'said to 3');
      assert.deepEqual(await ended, { code: 0, signal: null });
    });

    it('reports how it ended, and is no zombie afterwards', async () => {
      const ends = ['exit 0', 'exit 3', 'exit 255', 'kill -9 $$', 'kill -15 $$', 'kill -ABRT $$', 'kill -s RTMIN $$'].map(
        async (script) => {
          const child = spawnChild({ ...shell(script), descriptors: ['none', 'none', 'none'] });
          const { code, signal } = await endOf(child);
          assert.ok(!readdirSync('/proc').includes(String(child.pid)));
          return code ?? signal;
        },
      );
      assert.deepEqual((await Promise.all(ends)).slice(0, 6), [0, 3, 255, 'SIGKILL', 'SIGTERM', 'SIGABRT']);
    });

    it('that cannot be started reports why, and leaves nothing', async () => {
      const before = readdirSync('/proc/self/fd').length;
      const child = spawnChild({ program: '/nowhere/at all', args: [], env: {}, descriptors: ['none', 'socket', 'socket'] });
      assert.equal(child.pid, undefined);
      assert.match((await endOf(child)).fault ?? '', /no such file|ENOENT/);
      for (const socket of child.sockets) socket?.destroy();
      await new Promise((resolve) => setImmediate(resolve));
      assert.ok(readdirSync('/proc/self/fd').length <= before + 1);
      assert.throws(() => spawnChild({ program: '/bin/true', args: ['a\0b'], env: {}, descriptors: ['none'] }));
    });

    it('is found among many that end at once, beside children of Node', async () => {
      const own = spawn('/bin/sh', ['-c', 'exit 7']);
      const all = Array.from({ length: 100 }, async (_, index) => {
        const child = spawnChild({ ...shell(`exit ${index}`), descriptors: ['none', 'none', 'none'] });
        return (await endOf(child)).code;
      });
      assert.deepEqual(
        await Promise.all(all),
        Array.from({ length: 100 }, (_, index) => index),
      );
      if (own.exitCode === null) await once(own, 'exit');
      assert.equal(own.exitCode, 7);
    });

    it('gets each descriptor in its place, also when two change places', async () => {
      const [a, b] = [openSync('/etc/hostname', 'r'), openSync('/etc/passwd', 'r')];
      const descriptors = Array.from({ length: Math.max(a, b) + 1 }, (_, fd) =>
        fd === a ? b : fd === b ? a : fd === 1 ? 'socket' : 'none',
      );
      const child = spawnChild({ ...shell(`readlink /proc/self/fd/${a} /proc/self/fd/${b}`), descriptors });
      const ended = endOf(child);
      assert.ok(child.sockets[1]);
      assert.equal(await text(child.sockets[1]), '/etc/passwd\n/etc/hostname\n');
      await ended;
    });
  });
