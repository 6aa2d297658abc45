import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { claimCgroups } from './claim-cgroups.ts';
import { cgroupMounts, openControllers, tried } from './cgroup-controllers.ts';
import { findLauncher } from '../launch/launcher-program.ts';
import { readStat } from '../proc-fs.ts';

const LAUNCHER = findLauncher();
const probe = `claim-${process.pid}`;
const controllers = openControllers(probe);
for (const { root } of controllers) rmdirSync(root);
const skip = controllers.length === 0 || process.getuid?.() !== 0 ? 'no cgroups here that can be written' : false;
const claim = (name: string) => claimCgroups(LAUNCHER, `${name}-${process.pid}`, '/nowhere');
/** The folders of an agent's groups, wherever there is one. */
const groupsOf = (name: string): string[] =>
  cgroupMounts().flatMap((mount) =>
    ['evenfall', 'evenfall-platform'].map((all) => join(mount, all, name)).filter((path) => existsSync(path)),
  );

describe('A claim on cgroups', { skip }, () => {
  it('has what killed agents left removed, with functions that still run, and nothing of agents that live', async () => {
    const [killed, living] = [await claim('killed'), await claim('living')];
    const stray = spawn('sleep', ['100'], { stdio: 'ignore' });
    for (const { name } of [killed, living])
      for (const { root } of openControllers(name)) {
        mkdirSync(join(root, 'instance'));
        if (name === killed.name) writeFileSync(join(root, 'instance', 'cgroup.procs'), String(stray.pid));
      }
    // As it is after its agent was killed: no process holds the name.
    await killed.release();
    assert.ok(groupsOf(killed.name).length > 0);
    const next = await claim('next');
    assert.deepEqual(groupsOf(killed.name), []);
    assert.ok(groupsOf(living.name).length > 0);
    await eventually(() => [undefined, 'Z'].includes(readStat(stray.pid ?? 0)?.state), 5_000);
    await living.release();
    const last = await claim('last');
    assert.deepEqual(groupsOf(living.name), []);
    await Promise.all([next.release(), last.release()]);
  });

  it('leaves groups of another container’s agents alone, of which it knows nothing', async () => {
    const foreign = `foreign-${process.pid}-01234567-89abcdef`;
    const made = cgroupMounts().flatMap((mount) => {
      const path = join(mount, 'evenfall', foreign);
      return tried(() => mkdirSync(path, { recursive: true })) ? [path] : [];
    });
    const one = await claim('one');
    for (const path of made) assert.ok(existsSync(path), path);
    await one.release();
    for (const path of made) rmdirSync(path);
  });

  it('is one agent’s alone', async () => {
    const one = await claim('twice');
    await assert.rejects(claim('twice'), /Another agent of this host has the same name and folder/);
    await one.release();
    await (await claim('twice')).release();
  });

  it('is made by many at once, each of which removes what is left', async () => {
    const left = await claim('many-left');
    openControllers(left.name);
    await left.release();
    const all = await Promise.all(Array.from({ length: 12 }, (_, i) => claim(`many-${i}`)));
    assert.equal(new Set(all.map(({ name }) => name)).size, 12);
    assert.deepEqual(groupsOf(left.name), []);
    await Promise.all(all.map((each) => each.release()));
  });
});
