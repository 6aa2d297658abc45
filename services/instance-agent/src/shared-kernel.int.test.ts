// Agents in two containers of one host: neither sees the files of the other, both have the same range of user ids, and the kernel has one user for each id.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { durationOfMs } from '@evenfall/time';
import { type Host, startHost } from './testing/host.ts';
import { reasonToSkip } from './testing/sandboxes.ts';

const AGENT = fileURLToPath(new URL('./testing/agent-in-container.ts', import.meta.url));
const SLEEPS = { 'index.py': 'import os, time\ndef handler(e, c):\n    print("up", os.getuid(), flush=True)\n    time.sleep(60)\n' };

type Container = { readonly process: ChildProcess; readonly uid: number; leave(): Promise<string> };

/** An agent with processes and claims of its own, and a function that sleeps. */
async function startContainer(): Promise<Container> {
  const script = 'mount -t tmpfs none /run && mount -t tmpfs none /dev/shm && exec "$0" "$1"';
  const words = ['--pid', '--fork', '--kill-child', '--mount', '--mount-proc', 'sh', '-c', script, process.execPath, AGENT];
  const child = spawn('unshare', words, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => String((await lines.next()).value);
  return {
    process: child,
    uid: Number(await line()),
    async leave() {
      child.stdin.end();
      const said = await line();
      if (child.exitCode === null) await once(child, 'exit');
      return said;
    },
  };
}

const skip = await reasonToSkip('process');

describe('Agents of two containers on one kernel, with the same range of user ids', { skip }, () => {
  const run = async (host: Host): Promise<{ readonly id: string; readonly uid: number }> => {
    const fn = { runtime: 'python3', handler: 'index.handler', timeout: durationOfMs(90_000) };
    const id = host.run(await host.start(fn, SLEEPS));
    return { id, uid: Number((await host.line(id, /^up/)).line?.text.split(' ')[1]) };
  };
  const isOver = (host: Host, id: string): boolean =>
    host.reports.some(({ eventId, report }) => eventId === id && report?.$case === 'ended');

  it('have no user id in common, and end none of each other’s functions, whichever starts and ends first', async () => {
    const first = await startHost({ network: 'none' });
    const early = await run(first);
    const container = await startContainer();
    const second = await startHost({ network: 'none' });
    try {
      const late = await run(second);
      assert.ok(container.uid >= 900_000 && container.uid <= 909_999, String(container.uid));
      assert.equal(new Set([early, late, container].map(({ uid }) => Math.floor(uid / 1000))).size, 3);
      // The end of a function ends all of its user.
      first.stop(early.id, 'FORCE');
      await first.ended(early.id);
      assert.equal(isOver(second, late.id), false);
      assert.equal(await container.leave(), 'runs');
      assert.equal(isOver(second, late.id), false);
    } finally {
      container.process.kill('SIGKILL');
      await Promise.all([first.dispose(), second.dispose()]);
    }
  });
});
