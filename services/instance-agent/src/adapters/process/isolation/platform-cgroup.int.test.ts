import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { it } from 'node:test';
import { openCgroups } from './cgroups.ts';
import { openControllers } from './cgroup-controllers.ts';

const groupsOf = (pid: number): string => readFileSync(`/proc/${pid}/cgroup`, 'latin1');
/** What the groups of the platform and of all functions count. */
const sharesIn = (mount: string): number[] =>
  ['evenfall-platform', 'evenfall'].map((name) => {
    const [file = ''] = ['cpu.shares', 'cpu.weight'].filter((each) => existsSync(join(mount, name, each)));
    return Number(readFileSync(join(mount, name, file), 'latin1'));
  });

it('The platform and what it has started are apart from functions, and go back', async (test) => {
  const name = `platform-group-${process.pid}`;
  const cpu = openControllers(name).find((controller) => controller.cpu);
  const before = groupsOf(process.pid);
  const isInRoot = /^\d+:(?:[^:]*,)?cpu(?:,[^:]*)?:\/$/m.test(before) || before === '0::/\n';
  if (!cpu || !isInRoot) return test.skip('no cpu controller here that can be written, or this process is in a group of another program');
  const mount = dirname(dirname(cpu.root));
  const earlier = spawn('sleep', ['100']);
  try {
    const cgroups = openCgroups(name);
    assert.ok(cgroups?.isPlatformApart);
    for (const pid of [process.pid, earlier.pid ?? 0]) assert.match(groupsOf(pid), new RegExp(`:/evenfall-platform/${name}$`, 'm'));
    const [platform = 0, functions = 0] = sharesIn(mount);
    assert.equal(platform, 10 * functions);
    const instance = cgroups.create('one', { memoryBytes: 1 << 28, socketBytes: 1 << 24, processes: 10, cpuShare: 1 });
    assert.ok(instance);
    assert.ok(instance.folders.some((folder) => folder.startsWith(join(mount, 'evenfall', name))));
    instance.remove();
    cgroups.close();
    assert.equal(groupsOf(process.pid), before);
    assert.equal(groupsOf(earlier.pid ?? 0), before);
    const left = existsSync(join(mount, 'evenfall-platform')) ? readdirSync(join(mount, 'evenfall-platform')) : [];
    assert.ok(!left.includes(name));
  } finally {
    earlier.kill('SIGKILL');
  }
});
