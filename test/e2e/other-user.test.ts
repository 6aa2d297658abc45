import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { tempDir } from '@evenfall/testkit';
import { MAIN, startStack } from '../support/stack.ts';

const isRoot = process.getuid?.() === 0;
const unprivileged = idsOf('nobody'); // cspell:ignore nobody
const asUnprivileged = ['setpriv', `--reuid=${unprivileged?.uid}`, `--regid=${unprivileged?.gid}`, '--clear-groups', '--'];
const why = reasonToSkip();

describe('a stack of another user', () => {
  it('runs for an ordinary user, and leaves nothing', { skip: why }, async (context) => {
    const dir = tempDir('unprivileged');
    context.after(() => dir.remove());
    chownSync(dir.path, unprivileged?.uid ?? 0, unprivileged?.gid ?? 0);
    const stack = await startStack({ dataDir: join(dir.path, 'data'), prefix: asUnprivileged, cwd: dir.path, env: { HOME: dir.path } });
    try {
      const owner = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${stack.postgresPid()}/status`, 'utf8'))?.[1];
      assert.equal(Number(owner), unprivileged?.uid);
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

/** Opens what it is given, the way there and back included. */
const PRIES = `import os
def handler(event, context):
    found = {}
    for path in event:
        try:
            found[path] = open(path).read() if not os.path.isdir(path) else os.listdir(path)
        except OSError as error:
            found[path] = type(error).__name__
    return found
`;

describe('the access key in the data folder', () => {
  for (const [who, prefix, skip] of [
    ['root', [], isRoot ? false : 'only root can try'],
    ['an ordinary user', asUnprivileged, why],
  ] as const)
    it(`of ${who} is read by no function, wherever the folder is`, { skip }, async (context) => {
      // Not under /tmp, /home or /root, which functions do not see in any case.
      const dir = mkdtempSync('/srv/evenfall-key-');
      context.after(() => rmSync(dir, { recursive: true, force: true }));
      if (who !== 'root') chownSync(dir, unprivileged?.uid ?? 0, unprivileged?.gid ?? 0);
      chmodSync(dir, 0o755);
      const dataDir = join(dir, 'data');
      mkdirSync(dataDir);
      chmodSync(dataDir, 0o755); // as an operator may have made it
      if (who !== 'root') chownSync(dataDir, unprivileged?.uid ?? 0, unprivileged?.gid ?? 0);
      const stack = await startStack({ dataDir, prefix: [...prefix], cwd: dir, env: { HOME: dir } });
      try {
        const secrets = [join(dataDir, 'access-key'), join(dataDir, 'postgres', 'password'), join(dataDir, 'agent', 'agent-id')];
        for (const path of secrets) assert.notEqual(readFileSync(path, 'utf8'), '', path);
        await stack.rest.deploy({ name: 'pries', runtime: 'python3', handler: 'index.handler' }, { 'index.py': PRIES });
        const { id } = await stack.rest.send('pries', [...secrets, dataDir]);
        const { result, error } = await stack.rest.ended(id);
        const text = JSON.stringify(result ?? error);
        for (const path of secrets) assert.match(text, new RegExp(`"${path}":"\\w+Error"`), text);
        assert.ok(!text.includes(stack.accessKey));
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
  if (!unprivileged) return 'there is no unprivileged user here';
  const reads = spawnSync(asUnprivileged[0] ?? '', [...asUnprivileged.slice(1), process.execPath, '--check', MAIN], {
    cwd: '/',
    stdio: 'ignore',
  });
  return reads.status === 0 ? false : 'the unprivileged user cannot read the checkout';
}
