import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { tempDir } from '@evenfall/testkit';
import { MAIN, startStack } from '../support/stack.ts';

const isRoot = process.getuid?.() === 0;
const nobody = idsOf('nobody');
const asNobody = ['setpriv', `--reuid=${nobody?.uid}`, `--regid=${nobody?.gid}`, '--clear-groups', '--'];
const why = reasonToSkip();

describe('a stack of another user', () => {
  it('runs for an ordinary user, and leaves nothing', { skip: why }, async (context) => {
    const dir = tempDir('nobody');
    context.after(() => dir.remove());
    chownSync(dir.path, nobody?.uid ?? 0, nobody?.gid ?? 0);
    const stack = await startStack({ dataDir: join(dir.path, 'data'), prefix: asNobody, cwd: dir.path, env: { HOME: dir.path } });
    try {
      const owner = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${stack.postgresPid()}/status`, 'utf8'))?.[1];
      assert.equal(Number(owner), nobody?.uid);
      for (const example of ['echo', 'echo-python', 'spawns-grandchild']) await stack.rest.deployExample(example);
      for (const fn of ['echo', 'echo-python']) {
        const { id } = await stack.rest.send(fn, { a: 1 });
        assert.deepEqual((await stack.rest.ended(id)).result, { a: 1 });
      }
      const { id } = await stack.rest.send('spawns-grandchild', {});
      await stack.rest.reaches(id, 'RUNNING');
      assert.equal((await stack.rest.terminate(id)).body.state, 'TERMINATED');
      assert.equal(await stack.stop(), 0);
    } finally {
      await stack.dispose();
    }
  });

  it('runs for root under a folder that only root may enter', { skip: isRoot ? false : 'only root can try' }, async (context) => {
    const dir = tempDir('private');
    context.after(() => dir.remove());
    const closed = join(dir.path, 'root-only');
    mkdirSync(closed, { mode: 0o700 });
    chmodSync(closed, 0o700);
    const stack = await startStack({ dataDir: join(closed, 'a', 'data') });
    try {
      await stack.rest.deployExample('echo');
      const { id } = await stack.rest.send('echo', 'in private');
      assert.equal((await stack.rest.ended(id)).result, 'in private');
    } finally {
      await stack.dispose();
    }
  });
});

function idsOf(name: string): { readonly uid: number; readonly gid: number } | undefined {
  const row = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find((fields) => fields[0] === name);
  return row && { uid: Number(row[2]), gid: Number(row[3]) };
}

/** Why an ordinary user cannot be tried here; false if one can. */
function reasonToSkip(): string | false {
  if (!isRoot) return 'the other tests run as an ordinary user already';
  if (!nobody) return 'there is no user "nobody" here';
  const reads = spawnSync(asNobody[0] ?? '', [...asNobody.slice(1), process.execPath, '--check', MAIN], { cwd: '/', stdio: 'ignore' });
  return reads.status === 0 ? false : 'the checkout cannot be read by "nobody"';
}
