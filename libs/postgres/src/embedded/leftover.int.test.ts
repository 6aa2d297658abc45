import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { startEmbeddedPostgres } from './server.ts';

describe('a server that starts where one was killed', () => {
  let dir: string;
  let pidFile: string;
  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'evenfall-leftover-'));
    pidFile = join(dir, 'cluster', 'postmaster.pid');
    const server = await startEmbeddedPostgres({ dir, unsafeFast: true });
    await server.stop();
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));
  /** The file a server leaves that was killed, with another number in it. */
  const leavePidFile = (pid: number): void =>
    writeFileSync(pidFile, `${pid}\n${join(dir, 'cluster')}\n1767225600\n5432\n/tmp\n\n`, { mode: 0o600 });

  it('takes no notice of a number that was given to another program, and leaves that alone', async () => {
    const other = spawn('sleep', ['60'], { stdio: 'ignore' });
    try {
      leavePidFile(other.pid ?? 0);
      const server = await startEmbeddedPostgres({ dir, unsafeFast: true });
      assert.equal(other.exitCode ?? other.signalCode, null);
      await server.stop();
    } finally {
      other.kill('SIGKILL');
    }
  });

  it('ignores a dead one that is not reaped', async () => {
    // The shell starts a child and becomes a program that never waits for it, before the child ends.
    const keeper = spawn('sh', ['-c', 'sleep 0.5 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      const pid = Number(await new Promise<string>((resolve) => keeper.stdout.once('data', (data: Buffer) => resolve(data.toString()))));
      while (!/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) spawnSync('true');
      leavePidFile(pid);
      const server = await startEmbeddedPostgres({ dir, unsafeFast: true });
      await server.stop();
      assert.equal(existsSync(pidFile), false);
    } finally {
      keeper.kill('SIGKILL');
    }
  });
});
