// Hooks, signals, grace and extensions of functions whose agent is not root: all of it within a user namespace, and within a gVisor sandbox in one.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import { Containment, Termination_Cause as Cause, TerminationPolicy } from '@evenfall/contracts/v1/termination';
import { StopInstance } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { debianProgram } from '@evenfall/testkit';
import { durationOfMs, msOfDuration } from '@evenfall/time';
import { type Host, startHost } from './testing/host.ts';

/** The unprivileged user that every Linux has. */
const UNPRIVILEGED_ID = 65_534;
const PYTHON = { runtime: 'python3', handler: 'index.handler' };
const NODE = { runtime: 'nodejs', handler: 'index.handler' };
const grace = (ms: number) => ({ gracePeriod: durationOfMs(ms) });
const termination = { ...TerminationPolicy.create(), gracePeriod: durationOfMs(500), maxGracePeriod: durationOfMs(2_000) };

const EXTENDS_IN_PYTHON = `
import evenfall, signal, time
def handler(event, context):
    got = []
    signal.signal(signal.SIGTERM, lambda *_: got.append(evenfall.extend(0.8).granted))
    print("working", flush=True)
    while not got: time.sleep(0.01)
    time.sleep(0.7)
    return got
`;
const EXTENDS_IN_NODE = `exports.handler = () => new Promise((done) => {
  process.once('SIGTERM', async () => {
    const { grantedMs } = await evenfall.extend(800);
    setTimeout(() => done([grantedMs / 1000]), 700);
  });
  console.log('working');
});
`;
const HOOK_IN_PYTHON = 'def handler(e, c):\n    return 1\ndef pre_stop(c):\n    print("pre-stop", flush=True)\n';
const HOOK_IN_NODE = "exports.handler = async () => 1;\nexports.pre_stop = async () => { console.log('pre-stop'); };\n";

if (process.getuid?.() === 0) {
  it('Stops of an ordinary user: the tests below, by such a user', (context) => {
    const dir = mkdtempSync(join(tmpdir(), 'evenfall-unprivileged-'));
    context.after(() => rmSync(dir, { recursive: true, force: true }));
    chownSync(dir, UNPRIVILEGED_ID, UNPRIVILEGED_ID);
    debianProgram('runsc'); // fails where there is none
    const ids = [`--reuid=${UNPRIVILEGED_ID}`, `--regid=${UNPRIVILEGED_ID}`, '--clear-groups', '--'];
    const { status, stdout, stderr } = spawnSync(
      'setpriv',
      [...ids, process.execPath, '--test-force-exit', fileURLToPath(import.meta.url)],
      {
        encoding: 'utf8',
        cwd: dir,
        env: { PATH: '/usr/bin:/bin', HOME: dir, TMPDIR: dir },
        timeout: 240_000,
      },
    );
    if (/EACCES|Cannot find module/.test(stderr)) return context.skip('another user cannot get to this repository');
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.match(stdout, /pass [1-9]/);
  });
} else
  for (const sandbox of ['process', 'gvisor'] as const)
    describe(`A function of an ordinary user in sandbox ${sandbox}`, { skip: await reasonNotTo(sandbox) }, () => {
      let host: Host;
      before(async () => {
        host = await startHost({ sandbox });
      });
      after(() => host.dispose());

      for (const [name, fn, files] of [
        ['Python', PYTHON, { 'index.py': EXTENDS_IN_PYTHON }],
        ['Node.js', NODE, { 'index.js': EXTENDS_IN_NODE }],
      ] as const)
        it(`receives its signal, and has more time where it requests it: ${name}`, async () => {
          const id = host.run(await host.start({ ...fn, termination }, files));
          await host.line(id, 'working');
          host.stop(id, 'GRACEFUL', grace(500));
          const ended = await host.ended(id);
          assert.equal(ended.result.toString(), '[0.8]', ended.error.toString());
          const notes = (ended.stop?.extensions ?? []).map(({ requested, granted }) => [msOfDuration(requested), msOfDuration(granted)]);
          assert.deepEqual(notes, [[800, 800]]);
          assert.ok((ended.stop?.durationMs ?? 0) > 500, 'it lived longer than its grace period');
          assert.equal(ended.stop?.containment, Containment.PID_NAMESPACE);
        });

      for (const [name, fn, files] of [
        ['Python', PYTHON, { 'index.py': HOOK_IN_PYTHON }],
        ['Node.js', NODE, { 'index.js': HOOK_IN_NODE }],
      ] as const)
        it(`has its PreStop hook before it goes: ${name}`, async () => {
          const preStop = { handler: 'index.pre_stop', timeout: durationOfMs(5_000) };
          const instance = await host.start({ ...fn, preStop }, files);
          assert.equal((await host.ended(host.run(instance))).result.toString(), '1');
          host.send({ stopInstances: [{ ...StopInstance.create(), instanceId: instance, cause: Cause.IDLE }] });
          assert.equal(await host.gone(instance), false);
          await host.line(instance, 'pre-stop');
        });

      it('is ended by force with all that it has started', async () => {
        const code =
          'import os, time\ndef handler(e, c):\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(3600)\n    print("up", flush=True)\n    time.sleep(60)\n';
        const id = host.run(await host.start(PYTHON, { 'index.py': code }));
        await host.line(id, 'up');
        host.stop(id, 'FORCE');
        const ended = await host.ended(id);
        assert.deepEqual([ended.outcome, ended.stop?.sweptProcessCount], [Outcome.FORCE_KILLED, 1]);
      });

      it('is out of memory where it uses more than it has, though no cgroup counts it', async () => {
        const code = 'import time\ndef handler(e, c):\n    hoard = bytearray(b"x") * (400 * 2**20)\n    time.sleep(60)\n';
        const ended = await host.ended(host.run(await host.start({ ...PYTHON, memoryMb: 128 }, { 'index.py': code })));
        assert.deepEqual([ended.outcome, ended.statusCode], [Outcome.OUT_OF_MEMORY, 434]);
      });
    });

/** Why a sandbox cannot be tried by this user; false if it can. */
async function reasonNotTo(sandbox: 'process' | 'gvisor'): Promise<string | false> {
  try {
    await (await startHost({ sandbox })).dispose();
    return false;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
